import Composition
import Glibc
import Simulations
import SwarmCore
import SwarmCrypto

func cpu() -> Double {
    var t = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t)
    return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
}
func rss() -> Double {
    var u = rusage()
    unsafe getrusage(0, &u)
    return Double(u.ru_maxrss)
}
func run() {
    let arguments = CommandLine.arguments
    let count = Int(arguments[1]) ?? 100
    let joinMilliseconds = Int(arguments[2]) ?? 20000
    let restSeconds = Int64(arguments[3]) ?? 30
    let membership = arguments[4] == "m"
    var options = SimulationOptions(seed: 1)
    options.hasMembership = membership
    let base = rss()
    let simulation = Simulation(options, network: NetworkModel(NetworkConfiguration(), matrix: (try? BuiltInMatrix.planetlab490.matrix())!, seed: 1))
    for _ in 0..<count { simulation.addNode() }
    var picker = simulation.root.child(77)
    for index in 0..<count {
        let time = UInt64(index) * UInt64(joinMilliseconds) * 1_000_000 / UInt64(count)
        let other = index == 0 ? 0 : picker.integer(below: index)
        simulation.schedule(at: time) { simulation in
            let seeds = index == 0 ? [] : [simulation.nodes[other].host!.contact]
            simulation.start(simulation.nodes[index], seeds: seeds)
        }
    }
    let t0 = cpu()
    simulation.run(for: .milliseconds(Int64(joinMilliseconds)))
    let t1 = cpu()
    print("join: cpu \(t1 - t0) s, events \(simulation.traffic.events), calls \(simulation.traffic.machineCalls)")
    simulation.run(for: .seconds(30))
    let t2 = cpu()
    print("settle 30 s: cpu \(t2 - t1) s, events \(simulation.traffic.events), calls \(simulation.traffic.machineCalls), rss/node \((rss() - base) / Double(count)) KiB")
    let (e, c, s, b) = (simulation.traffic.events, simulation.traffic.machineCalls, simulation.traffic.sent, simulation.traffic.bytesSent)
    simulation.run(for: .seconds(restSeconds))
    let t3 = cpu()
    let calls = Double(simulation.traffic.machineCalls - c)
    let ns = Double(count) * Double(restSeconds)
    print("rest \(restSeconds) s: cpu \(t3 - t2) s = \(Double(restSeconds) / (t3 - t2)) x real time; calls/node-s \(calls / ns), events/node-s \(Double(simulation.traffic.events - e) / ns), \((t3 - t2) / calls * 1e9) ns a call; sent/node-s \(Double(simulation.traffic.sent - s) / ns), bytes \(Double(simulation.traffic.bytesSent - b) / ns)")
    if let first = simulation.nodes[count / 2].swarm {
        print("peers \(first.machine.presentPeers) digest \(simulation.digest.text) defects \(simulation.defects)")
    }
    if arguments.count > 5 {
        // lookups
        let n = Int(arguments[5]) ?? 1000
        let name = StreamName("live/alice")!
        simulation.ask(simulation.nodes[3], .announce(name, isWithdrawn: false)) { _ in }
        simulation.run(for: .seconds(5))
        var times: [Double] = []
        var misses = 0
        let t4 = cpu(); let c4 = simulation.traffic.machineCalls
        for i in 0..<n {
            simulation.schedule(after: .milliseconds(Int64(i * 10))) { simulation in
                let begin = simulation.now
                simulation.ask(simulation.nodes[picker.integer(below: count)], .locate(name)) { reply in
                    if case .location(let l) = reply, l != nil { times.append(Double(simulation.now - begin) / 1e6) } else { misses += 1 }
                }
            }
        }
        simulation.run(for: .milliseconds(Int64(n * 10) + 10000))
        times.sort()
        let t5 = cpu()
        print("lookups \(times.count) misses \(misses) p50 \(times[times.count / 2]) p99 \(times[times.count * 99 / 100]); \((t5 - t4) / Double(simulation.traffic.machineCalls - c4) * 1e9) ns a call")
    }
}
run()
