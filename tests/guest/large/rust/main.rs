use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;

trait Shape {
    fn area(&self) -> f64;
}
struct Circle(f64);
struct Square(f64);
impl Shape for Circle {
    fn area(&self) -> f64 {
        std::f64::consts::PI * self.0 * self.0
    }
}
impl Shape for Square {
    fn area(&self) -> f64 {
        self.0 * self.0
    }
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ceb9fe1a85ec53);
    x ^ (x >> 33)
}

fn wide(n: u32) -> u128 {
    (1..=n as u128).fold(1u128, |a, b| a.wrapping_mul(b | 1).rotate_left(13) ^ (a / (b + 7)))
}

fn main() {
    let shapes: Vec<Box<dyn Shape>> = vec![Box::new(Circle(1.5)), Box::new(Square(2.5))];
    println!("{:.9}", shapes.iter().map(|s| s.area()).sum::<f64>());

    let mut words: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for i in 0..100_000u64 {
        words.entry(mix(i) % 97).or_default().push(i);
    }
    let longest = words.iter().max_by_key(|(_, v)| v.len()).unwrap();
    println!("{} {} {}", words.len(), longest.0, longest.1.len());

    let shared = Arc::new(AtomicU32::new(0));
    let table = Arc::new(RwLock::new(HashMap::new()));
    let barrier = Arc::new(Barrier::new(4));
    let (send, receive) = mpsc::channel();
    let threads: Vec<_> = (0..4u64)
        .map(|id| {
            let (shared, table, barrier, send) = (shared.clone(), table.clone(), barrier.clone(), send.clone());
            thread::spawn(move || {
                barrier.wait();
                for i in 0..20_000 {
                    shared.fetch_add((mix(id << 32 | i) & 0xff) as u32, Ordering::Relaxed);
                    if i % 10 == 0 {
                        *table.write().unwrap().entry(i % 100).or_insert(0u64) += id;
                    }
                }
                send.send(table.read().unwrap().len()).unwrap();
            })
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    drop(send);
    println!("{} {} {}", shared.load(Ordering::SeqCst), table.read().unwrap().values().sum::<u64>(), receive.iter().sum::<usize>());

    let turn = Arc::new((Mutex::new(0u32), Condvar::new()));
    thread::scope(|scope| {
        for id in 0..3 {
            let turn = &turn;
            scope.spawn(move || {
                for _ in 0..500 {
                    let mut now = turn.1.wait_while(turn.0.lock().unwrap(), |now| *now % 3 != id).unwrap();
                    *now += 1;
                    turn.1.notify_all();
                }
            });
        }
    });
    println!("{}", turn.0.lock().unwrap());

    panic::set_hook(Box::new(|info| println!("hook: {}", info.location().unwrap().file())));
    let failed = panic::catch_unwind(|| vec![1, 2, 3][std::env::args().count() + 5]);
    println!("caught {}", failed.unwrap_err().downcast_ref::<String>().unwrap());
    println!("joined {}", thread::spawn(|| panic!("in a thread")).join().is_err());

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut text = String::new();
        let mut connection = listener.accept().unwrap().0;
        connection.read_to_string(&mut text).unwrap();
        connection.write_all(text.to_uppercase().as_bytes()).unwrap();
    });
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"over tcp").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    server.join().unwrap();
    println!("{answer}");

    let child = Command::new("sh").args(["-c", "echo child; exit 5"]).output().unwrap();
    println!("{:?} {:?}", String::from_utf8_lossy(&child.stdout), child.status.code());
    println!("{}", Command::new("no/such/program").spawn().unwrap_err());
    println!("{:x} {}", wide(2000), f32::MAX as i32 as f32 + (0.1f32 + 0.2f32));
    let numbers: Vec<f64> = "1e300 -0 inf NaN 2.5 1e-320".split(' ').map(|s| s.parse().unwrap()).collect();
    println!("{numbers:?} {:?}", numbers.iter().copied().filter(|n| !n.is_nan()).fold(f64::MIN, f64::max));
}
