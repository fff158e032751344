import ArgumentParser
import SwarmNode

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure this machine: what forwarding costs.",
        subcommands: [FanoutBenchCommand.self])
}

struct FanoutBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fanout",
        abstract: "One RTP stream in, many SRTP viewers out, on loopback: CPU time per forwarded packet.",
        discussion: """
            The node's figure is all that its media thread spends, by the operating system's accounting: receiving the \
            plain RTP packets from a UDP socket, parsing and storing them, and for each viewer rewriting, encrypting \
            and sending, with timers and sender reports. Beside it, in turn and on the same CPU, the floor: a C loop \
            that only encrypts and sends the same trains to the same receivers. Medians over the rounds.
            """)

    enum Cipher: String, CaseIterable, ExpressibleByArgument {
        case gcm, cm

        var option: FanoutBenchOptions.Cipher {
            switch self {
            case .gcm: .gcm
            case .cm: .cm
            }
        }
    }

    @Option(help: ArgumentHelp("How many viewers, 1 to 4096.", valueName: "n")) var viewers = 100
    @Option(help: ArgumentHelp("Bytes of a packet before encryption, 64 to 1228.", valueName: "bytes"))
    var packetBytes = 1200
    @Option(help: ArgumentHelp("Packets of a frame, 1 to 50.", valueName: "packets")) var framePackets = 8
    @Option(help: "AEAD_AES_128_GCM, or AES_CM_128_HMAC_SHA1_80.") var cipher = Cipher.gcm
    @Option(help: ArgumentHelp("How long, 1 to 600.", valueName: "seconds")) var seconds = 5
    @Flag(help: "As JSON.") var json = false

    func validate() throws {
        try require(viewers, FanoutBenchOptions.viewerRange, "--viewers")
        try require(packetBytes, FanoutBenchOptions.packetByteRange, "--packet-bytes")
        try require(framePackets, FanoutBenchOptions.framePacketRange, "--frame-packets")
        try require(seconds, FanoutBenchOptions.secondRange, "--seconds")
    }

    func run() throws {
        var options = FanoutBenchOptions()
        options.viewers = viewers
        options.packetBytes = packetBytes
        options.framePackets = framePackets
        options.cipher = cipher.option
        options.seconds = seconds
        let result = try FanoutBench.run(options)
        print(json ? text(result) : table(result), terminator: json ? "\n" : "")
    }

    private func require(_ value: Int, _ range: ClosedRange<Int>, _ name: String) throws {
        guard range.contains(value) else {
            throw ValidationError("\(name): expected \(range.lowerBound) to \(range.upperBound), not \(value)")
        }
    }

    private func text(_ result: FanoutBenchResult) -> String {
        JSONWriter.object { out in
            out.member("cpu_microseconds_per_packet", result.nodeMicroseconds)
            out.member("floor_microseconds_per_packet", result.floorMicroseconds)
            out.member("ratio_to_floor", result.ratioToFloor)
            out.member("encrypt_microseconds_per_packet", result.encryptMicroseconds)
            out.member("send_microseconds_per_packet", result.sendMicroseconds)
            out.member("packets", result.packets)
            out.member("lost", result.lost)
            out.member("verified", result.verified)
            out.member("rounds", result.rounds)
            out.member("viewers", viewers)
            out.member("packet_bytes", packetBytes)
            out.member("frame_packets", framePackets)
            out.member("cipher", cipher.rawValue)
            out.member("trains", result.trains)
        }
    }

    private func table(_ result: FanoutBenchResult) -> String {
        func row(_ name: String, _ value: Double, _ note: String) -> [String] {
            [name, JSONWriter.number(value), note]
        }
        var table = Table(["", "CPU µs/PACKET", ""])
        table.add(row("node", result.nodeMicroseconds, "receive, rewrite, encrypt, send"))
        table.add(row("floor", result.floorMicroseconds, "C: encrypt and send the same trains"))
        table.add(row("  encrypt", result.encryptMicroseconds, "alone"))
        table.add(row("  send", result.sendMicroseconds, "alone"))
        table.add(row("ratio", result.ratioToFloor, "node to floor"))
        let frames = "\(viewers) viewers, frames of \(framePackets) × \(packetBytes) bytes, \(cipher.rawValue)"
        let counts =
            "\(result.packets) packets in \(result.rounds) rounds, \(result.trains) trains, \(result.lost) lost, "
            + "\(result.verified) opened and compared"
        return table.text + frames + "; " + counts + "\n"
    }
}
