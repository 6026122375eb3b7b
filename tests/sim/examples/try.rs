use std::time::Instant;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "trace" {
        let s = vip_sim::schedule::Schedule::draw(a[2].parse().unwrap());
        println!("{:#?}", s.hosts);
        let e = vip_sim::world::run(&s, vip_sim::trace::Trace::kept());
        for l in e.trace {
            println!("{l}");
        }
        println!("{:?}", e.violation);
        return;
    }
    let n: u64 = a[1].parse().unwrap();
    let from: u64 = a.get(2).map_or(0, |x| x.parse().unwrap());
    let t = Instant::now();
    let s = vip_sim::sweep::sweep(from..from + n, a.get(3).map_or(10, |x| x.parse().unwrap()));
    let e = t.elapsed();
    println!("{}", s.tally);
    for f in &s.failures {
        println!("{:?}", f);
    }
    println!(
        "{:?} {:.0}/s",
        e,
        s.tally.schedules as f64 / e.as_secs_f64()
    );
}
