use vip_elector::election::rules::Rule;
use vip_sim::many::{self, Schedule};
use vip_sim::trace::Trace;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let broken = args.get(4).and_then(|n| Rule::SHARED.into_iter().find(|r| format!("{r:?}") == *n));
    match args[1].as_str() {
        "sweep" => {
            let from: u64 = args[2].parse().unwrap();
            let to: u64 = args[3].parse().unwrap();
            let patience = args.get(5).map_or(4, |p| p.parse().unwrap());
            let begun = std::time::Instant::now();
            let swept = many::sweep(from..to, broken, patience);
            println!("{}", swept.tally);
            println!("{:?}", begun.elapsed());
            for f in swept.failures {
                let whole = Schedule::draw(f.seed);
                let s = if args.get(6).is_some() { many::shrink(&whole, broken) } else { None };
                println!("seed {} at {:?}: {} {:?}", f.seed, f.at, f.violation, s);
            }
        }
        _ => {
            let seed: u64 = args[2].parse().unwrap();
            let without: Vec<usize> = args[3].split(',').filter_map(|x| x.parse().ok()).collect();
            let s = Schedule::draw(seed).without(&without);
            println!("{s}");
            let e = many::run(&s, broken, Trace::kept());
            for l in e.trace { println!("{l}"); }
            println!("{:?}", e.violation);
        }
    }
}
