import SwarmCore

/// What happens next on the virtual wire: a delivery or a deadline, in the order of time, then of making.
struct WireEvent {
    var at: UInt64
    var number: UInt64
    /// The sender of a delivery; -1 for a deadline; -2 for the confirmation of a link that `to` did not open.
    var from: Int32
    var to: Int32
    var place: Int32
    var count: Int32

    static func < (a: WireEvent, b: WireEvent) -> Bool { a.at == b.at ? a.number < b.number : a.at < b.at }
}

/// A binary heap of events.
struct WireAgenda {
    private var heap: [WireEvent] = []
    private var made: UInt64 = 0

    var first: WireEvent? { heap.first }
    var count: Int { heap.count }

    mutating func push(at: UInt64, from: Int, to: Int, place: Int = 0, count: Int = 0) {
        made += 1
        heap.append(
            WireEvent(
                at: at, number: made, from: Int32(from), to: Int32(to), place: Int32(place), count: Int32(count)))
        var index = heap.count - 1
        let event = heap[index]
        while index > 0, event < heap[(index - 1) / 2] {
            heap[index] = heap[(index - 1) / 2]
            index = (index - 1) / 2
        }
        heap[index] = event
    }

    mutating func pop() -> WireEvent? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < last else { break }
            heap[index] = heap[child]
            index = child
        }
        heap[index] = last
        return first
    }
}

/// Places of 1,280 bytes for messages in flight, taken and given back.
struct WirePool: ~Copyable {
    static var placeBytes: Int { 1280 }
    private var arena: ByteArena
    private var free: [Int32]

    init(places: Int) {
        arena = ByteArena(capacity: places * Self.placeBytes)
        free = Array((0..<Int32(places)).reversed())
    }

    mutating func store(_ bytes: Span<UInt8>) -> Int? {
        guard let place = free.popLast() else { return nil }
        let start = Int(place) * Self.placeBytes
        var room = arena.mutableBytes(in: start..<(start + bytes.count))
        room.copy(bytes, to: 0)
        return Int(place)
    }

    func withBytes(_ place: Int, count: Int, _ body: (Span<UInt8>) -> Void) {
        body(arena.bytes(in: (place * Self.placeBytes)..<(place * Self.placeBytes + count)))
    }

    mutating func giveBack(_ place: Int) { free.append(Int32(place)) }
}

/// Round trips in milliseconds between sites, with a way of its own for each node to its site.
final class VirtualMap {
    let siteCount: Int
    private let roundTrips: [Float]

    /// `csv` holds one line per site.
    init?(csv: Span<UInt8>) {
        var values: [Float] = []
        var whole: Float = 0
        var scale: Float = 0
        var lines = 0
        for index in csv.indices {
            switch csv[index] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = Float(csv[index] - UInt8(ascii: "0"))
                if scale == 0 {
                    whole = whole * 10 + digit
                } else {
                    whole += digit * scale
                    scale /= 10
                }
            case UInt8(ascii: "."):
                scale = 0.1
            case UInt8(ascii: ","), UInt8(ascii: "\n"):
                values.append(whole)
                whole = 0
                scale = 0
                if csv[index] == UInt8(ascii: "\n") { lines += 1 }
            default:
                continue
            }
        }
        guard lines > 0, values.count == lines * lines else { return nil }
        siteCount = lines
        roundTrips = values
    }

    func roundTrip(_ a: Int, _ b: Int) -> Double { Double(roundTrips[a * siteCount + b]) }
}
