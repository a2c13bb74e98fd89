require 'json'
require 'digest'
require 'open3'
require 'socket'
require 'set'
require 'bigdecimal'
require 'stringio'
require 'zlib'

Digest::SHA256.hexdigest('') # Ruby 3.1 cannot load it in several threads at once.
# Threads with a queue, a mutex and a condition; fibres; an exception from another thread.
queue, results = Thread::Queue.new, Thread::Queue.new
workers = 4.times.map { Thread.new { while (n = queue.pop) != :end; results << Digest::SHA256.hexdigest(n.to_s)[0, 8].hex; end } }
500.times { |n| queue << n }
4.times { queue << :end }
workers.each(&:join)
puts results.size.times.sum { results.pop }
sleeper = Thread.new { begin; sleep; rescue => e; e.message; end }
Thread.pass until sleeper.status == 'sleep'
sleeper.raise('woken')
puts sleeper.value
fibs = Enumerator.new { |y| a, b = 0, 1; loop { y << a; a, b = b, a + b } }
puts fibs.lazy.select(&:even?).first(10).inspect, fibs.take(200).last

# Garbage, with objects that have to survive it.
kept = {}
60_000.times { |i| kept[i % 3000] = ['x' * (i % 50), { i => i.to_s }, i.to_f / 3] }
GC.start; GC.compact if GC.respond_to?(:compact) && RUBY_PLATFORM !~ /mips/
puts kept.values.sum { |s, h, f| s.size + h.keys[0] + f.round }, GC.count > 3

# Deep recursion and its end, catch and throw, pattern matching, refinements, method_missing.
def deep(n) = 1 + deep(n + 1)
begin; deep(0); rescue SystemStackError => e; puts e.class; end
puts catch(:found) { [1, [2, [3, 4]]].flatten.each { |n| throw :found, n * 10 if n > 2 } }
case { name: 'guest', at: [1, 2, { deep: 3.5 }] }
in { name: String => name, at: [Integer, *, { deep: Float => deep }] } then puts "#{name} #{deep}"
end
class Ghost; def method_missing(n, *a) = "#{n}(#{a.join(', ')})"; def respond_to_missing?(*) = true; end
puts Ghost.new.anything(1, 2)

puts 3**500 % 1_000_000_007, (1..30).reduce(:lcm), 10.0 / 3, 1e23, 2**64.5, -7 / 2, -7 % 3, Rational(3, 4) + 0.25r, Complex(1, 2)**3
puts BigDecimal('1.1') + BigDecimal('2.2'), 'naïve café'.unicode_normalize(:nfd).length, 'ÀÉ'.downcase
puts 'The quick brown fox'.gsub(/(\w+) (\w+)/) { "#{$2} #{$1}" }, 'a1b22'.scan(/[a-z]\d+/).inspect, '%08.3f|%-5s|%+d|%x' % [3.14159, 'ab', 5, 255]
puts JSON.generate(JSON.parse('{"a": [1, 2.5, null, {"b": "\u00e9"}]}'))
puts Zlib.crc32('crc' * 1000), Zlib::Inflate.inflate(Zlib::Deflate.deflate('z' * 100_000)).size

# Processes, signals, sockets.
out, status = Open3.capture2e('sh', '-c', 'cat; exit 3', stdin_data: 'through a pipe')
puts out, status.exitstatus
reader, writer = IO.pipe
pid = fork { reader.close; trap('TERM') { writer.syswrite "terminated\n"; exit!(7) }; writer.puts 'ready'; sleep }
writer.close
puts reader.gets
Process.kill('TERM', pid)
puts reader.gets, Process.wait2(pid)[1].exitstatus
server = TCPServer.new('127.0.0.1', 0)
serve = Thread.new { 5.times { c = server.accept; c.puts c.gets.reverse; c.close } }
puts 5.times.map { |i| TCPSocket.open('127.0.0.1', server.addr[1]) { |s| s.puts "hello #{i}"; s.read.strip } }.inspect
serve.join
begin; Integer('12x'); rescue ArgumentError => e; puts e.message; end
puts ObjectSpace.each_object(Class).any? { |c| c == Ghost }, [3, 1, 2].sort_by { -_1 }.inspect, Set[1, 2, 3].superset?(Set[1])
at_exit { puts 'at exit' }
