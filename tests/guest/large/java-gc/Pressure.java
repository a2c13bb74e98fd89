import java.lang.management.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;

/** Threads that allocate much more than the heap holds, share maps and locks, and wait for each other. */
public class Pressure {
    static final int THREADS = 4, ROUNDS = Integer.getInteger("rounds");

    static final class Tree {
        final Tree left, right;
        Tree(int depth) {
            left = depth == 0 ? null : new Tree(depth - 1);
            right = depth == 0 ? null : new Tree(depth - 1);
        }
        int nodes() {
            return left == null ? 1 : 1 + left.nodes() + right.nodes();
        }
    }

    static long work(int id, ConcurrentHashMap<Integer, byte[]> kept, AtomicLong shared, ReentrantLock lock, long[] locked) {
        Random random = new Random(id);
        long sum = 0;
        for (int round = 0; round < ROUNDS; round++) {
            sum += new Tree(9).nodes();
            byte[] block = new byte[1000 + random.nextInt(20_000)];
            Arrays.fill(block, (byte) round);
            kept.put(id * 1000 + round % 200, block);
            StringBuilder text = new StringBuilder();
            for (int i = 0; i < 50; i++) text.append(round).append(',').append(i);
            sum += text.toString().hashCode();
            shared.incrementAndGet();
            lock.lock();
            try {
                locked[0]++;
            } finally {
                lock.unlock();
            }
        }
        for (int i = 0; i < 200; i++) sum += kept.get(id * 1000 + i)[500];
        return sum;
    }

    public static void main(String[] args) throws Exception {
        var kept = new ConcurrentHashMap<Integer, byte[]>();
        var shared = new AtomicLong();
        var lock = new ReentrantLock();
        long[] locked = new long[1];
        ExecutorService pool = Executors.newFixedThreadPool(THREADS);
        var results = new ArrayList<Future<Long>>();
        for (int i = 0; i < THREADS; i++) {
            int id = i;
            results.add(pool.submit(() -> work(id, kept, shared, lock, locked)));
        }
        long total = 0;
        for (var result : results) total += result.get();
        pool.shutdown();
        System.out.println(pool.awaitTermination(1, TimeUnit.MINUTES));
        System.out.println("sum " + total + ", shared " + shared + ", locked " + locked[0] + ", kept " + kept.size());

        // Interruption, waiting with a time-out, and a hand-over between two threads.
        var queue = new SynchronousQueue<Integer>();
        Thread producer = new Thread(() -> {
            try {
                for (int i = 1; i <= 2000; i++) queue.put(i);
                Thread.sleep(1_000_000);
            } catch (InterruptedException e) {
                System.out.println("interrupted");
            }
        });
        producer.start();
        int taken = 0;
        for (int i = 0; i < 2000; i++) taken += queue.take();
        System.out.println(taken + " " + queue.poll(10, TimeUnit.MILLISECONDS));
        producer.interrupt();
        producer.join();

        long collections = 0;
        for (var collector : ManagementFactory.getGarbageCollectorMXBeans()) collections += collector.getCollectionCount();
        System.out.println("collected: " + (collections > 0));
        var compiler = ManagementFactory.getCompilationMXBean();
        System.out.println("compiled: " + (compiler != null && compiler.getTotalCompilationTime() > 0));
    }
}
