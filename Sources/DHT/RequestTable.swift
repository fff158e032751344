import SwarmCore

/// One request in the air.
struct PendingRequest: Sendable {
    enum Purpose: Hashable, Sendable {
        /// A step of a lookup.
        case lookup(LookupID)
        /// A further page of one holder's list.
        case page(LookupID)
        /// The PUT of a publication's round.
        case store(publication: UInt64)
        /// A PUT to a new holder between two rounds.
        case supply(publication: UInt64)
        /// Whether a contact is still there.
        case probe
        /// Nodes for an empty bucket.
        case fill(bucket: Int)
        /// The owner's own ping.
        case ping(LookupID)
        /// A copy for a cache; nothing depends on the answer.
        case offer
        /// This node's own addresses, for a neighbour to keep.
        case addresses(sequence: UInt64)
    }

    let id: RequestID
    let peer: Contact
    let purpose: Purpose
    let message: DHTMessage
    let sentAt: MonotonicInstant
    let timing: RequestTiming
    var transmissions = 1
    var isLate = false

    /// When it is late, sent again or given up, whichever is next.
    var dueAt: MonotonicInstant {
        if !isLate { return sentAt + timing.hedge }
        return sentAt + (transmissions < 3 ? timing.patience * Int64(transmissions) : timing.timeout)
    }
}

/// The requests in the air. A request's id names its place in the table, beside 50 random bits, so that an answer finds it
/// at once; it counts only if its sender matches too. Two bits count the transmissions, so that an answer tells which one
/// it answers and measures the round trip even then (what Karn and Partridge 1987 had to do without). Deadlines are a
/// binary heap.
struct RequestTable: Sendable {
    /// What became of a request whose time has come.
    enum Due { case late, again, over }

    private struct Deadline: Sendable {
        var at: MonotonicInstant
        var id: UInt64

        static func < (a: Deadline, b: Deadline) -> Bool { a.at == b.at ? a.id < b.id : a.at < b.at }
    }

    /// A request is half a kilobyte, and the places of a joining node's busiest moment stay: so it lies elsewhere, and only
    /// while it is in the air.
    private indirect enum Place: Sendable {
        case free
        case taken(PendingRequest)

        var request: PendingRequest? {
            if case .taken(let request) = self { return request }
            return nil
        }
    }

    private static var placeBits: UInt64 { 12 }
    private static var placeMask: UInt64 { 1 << placeBits - 1 }
    private static var attemptMask: UInt64 { 3 << placeBits }

    private var places: [Place] = []
    private var free: [Int] = []
    private var heap: [Deadline] = []
    private(set) var count = 0

    var isFull: Bool { count >= DHTLimits.requests }

    /// A new id for the next request; `random` is drawn for it.
    func nextID(_ random: UInt64) -> RequestID {
        RequestID(random & ~Self.placeMask & ~Self.attemptMask | UInt64(free.last ?? places.count))
    }

    /// Adds a request whose id came from `nextID`.
    mutating func add(_ request: PendingRequest) {
        let place = Int(request.id.number & Self.placeMask)
        if place == places.count {
            places.append(.taken(request))
        } else {
            precondition(free.last == place, "request place \(place)")
            free.removeLast()
            places[place] = .taken(request)
        }
        count += 1
        push(Deadline(at: request.dueAt, id: request.id.number))
    }

    /// The id that transmission number `transmission` of a request carries, from 1.
    static func id(of request: RequestID, transmission: Int) -> RequestID {
        RequestID(request.number | UInt64(transmission - 1) << placeBits)
    }

    /// Takes out the request that `peer` answers, with the time since the transmission that is answered, or nil.
    mutating func take(
        _ id: RequestID, from peer: NodeID, at now: MonotonicInstant
    ) -> (request: PendingRequest, roundTrip: Interval)? {
        let place = Int(id.number & Self.placeMask)
        let attempt = Int((id.number & Self.attemptMask) >> Self.placeBits)
        guard place < places.count, let request = places[place].request,
            request.id.number == id.number & ~Self.attemptMask, request.peer.id == peer,
            attempt < request.transmissions
        else { return nil }
        vacate(place)
        let sentAt = request.sentAt + request.timing.patience * Int64(attempt)
        return (request, max(.zero, now - sentAt))
    }

    /// Puts a request back that is not answered for good: its time still runs.
    mutating func putBack(_ request: PendingRequest) {
        let place = Int(request.id.number & Self.placeMask)
        guard let index = free.lastIndex(of: place) else { return }
        free.remove(at: index)
        places[place] = .taken(request)
        count += 1
        push(Deadline(at: request.dueAt, id: request.id.number))
    }

    /// The next request that is due: late, due again (noted as sent), or over and taken out.
    mutating func popDue(_ now: MonotonicInstant) -> (request: PendingRequest, due: Due)? {
        while let first = heap.first, first.at <= now {
            popFirst()
            let place = Int(first.id & Self.placeMask)
            // One that was put back may have two deadlines; the one that comes too early says nothing.
            guard place < places.count, var request = places[place].request, request.dueAt <= now else { continue }
            guard request.isLate else {
                request.isLate = true
                renew(place, request)
                return (request, .late)
            }
            guard request.transmissions < 3 else {
                vacate(place)
                return (request, .over)
            }
            request.transmissions += 1
            renew(place, request)
            return (request, .again)
        }
        return nil
    }

    mutating func removeAll(where isUnwanted: (PendingRequest) -> Bool) {
        for place in places.indices {
            if let request = places[place].request, isUnwanted(request) { vacate(place) }
        }
    }

    mutating func removeAll(for purposes: Set<PendingRequest.Purpose>) {
        removeAll { purposes.contains($0.purpose) }
    }

    func contains(purpose: PendingRequest.Purpose) -> Bool { places.contains { $0.request?.purpose == purpose } }

    /// When the first request falls due; what is in front of the heap is always alive.
    var nextDeadline: MonotonicInstant? { heap.first?.at }

    // MARK: Inside

    private mutating func renew(_ place: Int, _ request: PendingRequest) {
        places[place] = .taken(request)
        push(Deadline(at: request.dueAt, id: request.id.number))
    }

    private mutating func vacate(_ place: Int) {
        places[place] = .free
        free.append(place)
        count -= 1
        dropDead()
    }

    private func isAlive(_ deadline: Deadline) -> Bool {
        let place = Int(deadline.id & Self.placeMask)
        guard place < places.count, case .taken(let request) = places[place] else { return false }
        return request.id.number == deadline.id
    }

    /// Answered requests leave their deadlines behind: those in front go at once, the others when they are the majority.
    private mutating func dropDead() {
        while let first = heap.first, !isAlive(first) { popFirst(isCleaning: true) }
        guard heap.count > 2 * count + 32 else { return }
        let alive = heap.filter(isAlive)
        heap.removeAll(keepingCapacity: true)
        for deadline in alive { push(deadline) }
    }

    private mutating func push(_ deadline: Deadline) {
        heap.append(deadline)
        var index = heap.count - 1
        while index > 0, deadline < heap[(index - 1) / 2] {
            heap[index] = heap[(index - 1) / 2]
            index = (index - 1) / 2
        }
        heap[index] = deadline
    }

    private mutating func popFirst(isCleaning: Bool = false) {
        guard let last = heap.popLast() else { return }
        if !heap.isEmpty {
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
        }
        guard !isCleaning else { return }
        while let first = heap.first, !isAlive(first) { popFirst(isCleaning: true) }
    }
}
