import SwarmCore

/// One iterative search for the nodes nearest to a target, as a value (Kademlia, §2.3).
///
/// The owner calls `next()` until it says `.wait` or `.finished`, sends a request for each `.ask`, and reports what became
/// of it by `onSuccess`, `onLate` (no answer when one was due) or `onFailure`. At most `parallelism` peers (once the search
/// is wide `wideParallelism`) are asked and not late; as many more may be late. Late peers are still welcome to answer.
///
/// The search makes for the `width` nearest nodes of all that were named: they must have answered, but for a quarter that
/// may be late. Of the candidates that may still count it asks first who promises most for the time it takes: the
/// predicted round trip, and a price for each bit of distance from the target's region; inside the region all are equally
/// good and only time counts. A draw of up to once more that time keeps nodes from all choosing the same well-placed few.
///
/// Liars name each other, answer at once, and so take all the nearest places. Hence a search whose full end is wanted is
/// wide: of this node's own peers the `seedsFollowed` nearest, and of every answer the `namesFollowed` nearest it names,
/// are asked as well, whatever others have named. A liar's answer then displaces nobody; one honest answer in a few leads
/// on, and near the target, where honest nodes know all their neighbours, one is enough. Nodes that all name the same few
/// cost no more than those few. What one seed leads to is asked no sooner than what others lead to that were asked less,
/// so that invented names use up their own share. (S/Kademlia, §4.4, keeps disjoint paths apart for the same purpose; there
/// a single liar ends a path.)
///
/// Where an answer ends the search (`sparesSurroundings`) the nodes around the region are asked few at a time while others
/// may still have a copy: after n answers in vain n(n - 1)/2 of them may be in the air, one if nobody else is, and any number once
/// the region itself has answered in vain. So the nodes around a key that everybody asks for do not get most of all
/// questions.
///
/// Who knows a few nodes of the region when the search starts (`opening`) asks these first, and nobody else as long as one of
/// them may end it: the smaller the swarm the more can, and then a search costs a few requests instead of dozens.
///
/// Ids ground next to the key would fill the answers of honest nodes too. Hence many of a wide search's seeds are asked
/// about four other points of the target's region, whose nearest nodes are found in the same way.
package struct ClosestLookup: Sendable {
    package struct Parameters: Sendable {
        /// How many nearest nodes are wanted (k).
        package var width = 20
        package var parallelism = 3
        /// The same once the search is wide.
        package var wideParallelism = 3
        /// Own peers that a wide search asks whatever else it learns, and of each answer.
        package var seedsFollowed = 0
        package var namesFollowed = 3
        /// Whether at the end none of them may be awaited still; otherwise one in 16 may.
        package var awaitsAll = true
        /// Whether half of the seeds are asked about other points of the region as well.
        package var looksAround = true
        /// Nodes wanted around each further point of a crowded region.
        package var partWidth = 4
        /// Wide from the start: nothing can end the search early. Otherwise from the region's first answer on.
        package var isWideFromStart = false
        /// So many nodes of the region are asked before anybody else, who are likely to end the search; 0 where too few of
        /// them are known.
        package var opening = 0
        /// Whether nodes around the region are asked few at a time as long as it has not answered.
        package var sparesSurroundings = false
        /// The holders' region around the target; without one distance counts to the end.
        package var region: HolderRegion?
        /// What is assumed of the way to a node of which nothing is known.
        package var typicalRoundTrip = Interval.milliseconds(100)
        package var candidateLimit = DHTLimits.candidates
        package var askLimit = DHTLimits.asksPerLookup

        package init() {}
    }

    /// A node that might be near the target, with its round trip where it has been measured or can be predicted.
    package struct Hint: Hashable, Sendable {
        package var contact: Contact
        package var roundTrip: Interval?

        package init(_ contact: Contact, roundTrip: Interval? = nil) {
            self.contact = contact
            self.roundTrip = roundTrip
        }
    }

    package enum Step: Hashable, Sendable {
        /// Send the request to this peer, now; `toward` is the point whose neighbours it shall name.
        case ask(Contact, toward: Bytes32)
        /// Nothing to do before an answer, lateness or a failure.
        case wait
        case finished
    }

    private enum State: Hashable, Sendable { case new, asked, late, answered, failed }

    private struct Candidate: Sendable {
        var contact: Contact
        var distance: Bytes32
        /// The expected cost of asking, in steps of 1/16 ms; less is better.
        var score: Int32
        /// The expected round trip in the same steps; 0 where nothing is known.
        var time: Int32
        /// The seed that led to it.
        var root: UInt8
        /// The point it is, or would be, asked about.
        var aim: UInt8
        var state = State.new
        /// One of the few nearest that a peer named: a wide search asks it.
        var isFollowed: Bool
    }

    package let target: Bytes32
    private let own: NodeID
    private let parameters: Parameters
    /// In the order they were learnt.
    private var candidates: [Candidate] = []
    /// Places in `candidates`, nearest to the target first; no duplicates, never this node itself.
    private var order: [UInt8] = []
    /// The points looked around: the target, and four others of its region.
    private var aims: [Bytes32]
    /// How many were asked of those that each seed led to, itself included.
    private var asksOfRoot: [UInt16] = []
    /// Whether more than the nearest are asked.
    private var isWide = false
    /// Whether the search waits for the nodes of the region that it knew from the start.
    private var isOpening: Bool
    private var turn = 0
    private var insideAnswered = 0
    /// Of those in flight the ones around the region, where they are spared.
    private var nearInFlight = 0
    /// Peers asked and not yet late; never above the parallelism of the moment.
    package private(set) var inFlight = 0
    /// Peers asked and late; with those in flight never above twice the parallelism.
    private var late = 0
    package private(set) var asked = 0
    private var answeredCount = 0
    /// Whether it ended, or will end, with somebody left to ask.
    private var wasCutShort = false
    package private(set) var isFinished = false

    /// At most `DHTLimits.seedsPerLookup` seeds and 255 candidates, whatever the parameters say.
    package init(target: Bytes32, own: NodeID, seeds: [Hint], parameters: Parameters) {
        self.target = target
        self.own = own
        self.parameters = parameters
        isOpening = parameters.opening > 0
        aims = [target]
        if parameters.looksAround, let region = parameters.region { aims = region.points }
        for (index, seed) in seeds.prefix(DHTLimits.seedsPerLookup).enumerated() {
            // The first half, nearest to the target, are asked about it; each other about the point that it is nearest to.
            let aim = index < min(parameters.width, seeds.count / 2) ? 0 : nearestAim(to: seed.contact.id)
            asksOfRoot.append(0)
            learn(seed, root: UInt8(index), aim: UInt8(aim), isFollowed: index < parameters.seedsFollowed)
        }
    }

    // MARK: The verbs

    package mutating func next() -> Step {
        guard !isFinished else { return .finished }
        if isOpening, let step = open() { return step }
        if insideAnswered > 0 || parameters.isWideFromStart { isWide = true }
        while true {
            var choice: (concern: Int, candidate: Int)?
            var isDone = true
            let concerns = isWide ? aims.count + 1 : 1
            for step in 0..<concerns {
                let concern = (turn + step) % concerns
                let survey = concern < aims.count ? survey(aim: concern) : surveyFollowed()
                if !survey.isDone { isDone = false }
                if choice == nil, let candidate = survey.best { choice = (concern, candidate) }
            }
            if isDone {
                guard widen() else { return finish() }
                continue
            }
            guard let choice, asked < parameters.askLimit else {
                wasCutShort = wasCutShort || choice != nil
                return outstanding > 0 ? .wait : finish()
            }
            guard inFlight < parallelism, outstanding < 2 * parallelism else { return .wait }
            turn = choice.concern + 1
            if choice.concern < aims.count { candidates[choice.candidate].aim = UInt8(choice.concern) }
            return ask(choice.candidate)
        }
    }

    /// `peer` answered and named `closer`. False where the peer was not asked; nothing changes then.
    @discardableResult
    package mutating func onSuccess(_ peer: NodeID, closer: [Hint]) -> Bool {
        guard let place = place(of: peer), isOutstanding(place) else { return false }
        leave(place, for: .answered)
        answeredCount += 1
        if let region = parameters.region, region.contains(peer) { insideAnswered += 1 }
        guard !isFinished else { return true }
        let (root, aim) = (candidates[place].root, candidates[place].aim)
        let named = closer.prefix(DHTLimits.contactsPerAnswer)
        for hint in named { learn(hint, root: root, aim: aim, isFollowed: false) }
        follow(named, toward: aim)
        return true
    }

    /// `peer` should have answered by now: another may be asked meanwhile.
    package mutating func onLate(_ peer: NodeID) {
        guard let place = place(of: peer), candidates[place].state == .asked else { return }
        leave(place, for: .late)
        late += 1
    }

    /// `peer` did not answer, or answered nonsense.
    package mutating func onFailure(_ peer: NodeID) {
        guard let place = place(of: peer), isOutstanding(place) else { return }
        leave(place, for: .failed)
    }

    /// There was no room to ask `peer`: what it might have known stays unknown.
    package mutating func onNoRoom(_ peer: NodeID) {
        wasCutShort = true
        onFailure(peer)
    }

    /// Ends the search where it stands.
    package mutating func cancel() {
        wasCutShort = true
        isFinished = true
    }

    // MARK: Reading

    /// The nodes that answered, nearest first, at most k.
    package var closest: [Contact] { answered(limit: parameters.width) }

    /// The nodes that answered, nearest first.
    package func answered(limit: Int) -> [Contact] {
        Array(order.lazy.map { candidates[Int($0)] }.filter { $0.state == .answered }.map(\.contact).prefix(limit))
    }

    /// Peers whose answer is still awaited, late ones included; never above twice the parallelism.
    package var outstanding: Int { inFlight + late }
    package var candidateCount: Int { candidates.count }

    /// Whether the search came to its full end and was heard: by half of the width and by a quarter of those asked, or by
    /// half of those asked where the swarm is small. Otherwise what it did not find may exist: this node, or all around it,
    /// may be cut off.
    package var isConclusive: Bool {
        guard isFinished, !wasCutShort else { return false }
        return answeredCount * 2 >= min(asked, max(parameters.width, asked / 2))
    }

    /// The round trip expected of a peer in the search.
    package func expectedRoundTrip(of peer: NodeID) -> Interval? {
        guard let place = place(of: peer), candidates[place].time > 0 else { return nil }
        return Interval(nanoseconds: Int64(candidates[place].time) * 62_500)
    }

    /// Nobody is waited for longer before another is asked, however far away: half as long again as a usual round trip.
    package var longestHedge: Interval { max(parameters.typicalRoundTrip * 3 / 2, .milliseconds(150)) }

    /// The first 64 bits of the distance of the k-th node that answered; nil where fewer did.
    package var reach: UInt64? {
        var count = 0
        for place in order where candidates[Int(place)].state == .answered {
            count += 1
            if count == parameters.width { return candidates[Int(place)].distance.word0 }
        }
        return nil
    }

    // MARK: Inside

    /// Asks the first few nodes of the region and waits for one of them; nil where that is over: one has answered in vain, or
    /// none is on time.
    private mutating func open() -> Step? {
        let limit = min(parameters.opening, parameters.parallelism)
        if insideAnswered == 0, asked < limit, asked == inFlight, let region = parameters.region {
            let best = candidates.indices
                .filter { candidates[$0].state == .new && region.contains(candidates[$0].contact.id) }
                .min { candidates[$0].score < candidates[$1].score }
            if let best { return ask(best) }
        }
        if insideAnswered == 0, inFlight > 0 { return .wait }
        isOpening = false
        return nil
    }

    private var parallelism: Int {
        isWide ? max(parameters.wideParallelism, parameters.parallelism) : parameters.parallelism
    }

    private func isOutstanding(_ place: Int) -> Bool {
        candidates[place].state == .asked || candidates[place].state == .late
    }

    private mutating func leave(_ place: Int, for state: State) {
        if candidates[place].state == .asked {
            inFlight -= 1
            if isSpared(place) { nearInFlight -= 1 }
        } else {
            late -= 1
        }
        candidates[place].state = state
    }

    /// Whether `place` is so near the key that it is asked late and seldom; nobody is where that would be most of the swarm.
    private func isSpared(_ place: Int) -> Bool {
        guard parameters.sparesSurroundings, let region = parameters.region else { return false }
        return region.radius < UInt64.max / 16 && region.contains(candidates[place].contact.id, within: 8)
    }

    /// Whether `place` has to wait for what others say.
    private func isHeld(_ place: Int) -> Bool {
        guard inFlight > 0, insideAnswered == 0 else { return false }
        return nearInFlight >= answeredCount * (answeredCount - 1) / 2 && isSpared(place)
    }

    private mutating func ask(_ place: Int) -> Step {
        candidates[place].state = .asked
        asksOfRoot[Int(candidates[place].root)] += 1
        inFlight += 1
        if isSpared(place) { nearInFlight += 1 }
        asked += 1
        return .ask(candidates[place].contact, toward: aims[Int(candidates[place].aim)])
    }

    private mutating func finish() -> Step {
        isFinished = true
        return .finished
    }

    private func nearestAim(to id: NodeID) -> Int {
        aims.indices.min { id.distance(to: aims[$0]) < id.distance(to: aims[$1]) } ?? 0
    }

    /// Whether the nearest nodes to a point have answered, and which of them would be asked next.
    private func survey(aim: Int) -> (isDone: Bool, best: Int?) {
        aim == 0 ? surveyNearest() : surveyNearest(to: aims[aim])
    }

    private func surveyNearest() -> (isDone: Bool, best: Int?) {
        var counted = 0
        var late = 0
        var isBlocked = false
        var best: Int?
        for place in order {
            let place = Int(place)
            let state = candidates[place].state
            if state == .failed { continue }
            if state == .late {
                late += 1
                guard late * 4 <= parameters.width else { continue }
            }
            counted += 1
            if state == .new || state == .asked { isBlocked = true }
            if state == .new, best.map({ candidates[place].score < candidates[$0].score }) ?? true, !isHeld(place) {
                best = place
            }
            if counted == parameters.width { break }
        }
        // With nobody left to take their place the late ones are waited for.
        if counted < parameters.width, late > 0 { isBlocked = true }
        return (!isBlocked, best)
    }

    /// Of a further point only the few nearest count, whatever they were asked about.
    private func surveyNearest(to point: Bytes32) -> (isDone: Bool, best: Int?) {
        var nearest = InlineArray<4, Int>(repeating: -1)
        let width = min(parameters.partWidth, nearest.count)
        func distance(_ place: Int) -> Bytes32 { candidates[place].contact.id.distance(to: point) }
        for place in candidates.indices where ![.failed, .late].contains(candidates[place].state) {
            var place = place
            for rank in 0..<width {
                guard nearest[rank] >= 0 else {
                    nearest[rank] = place
                    break
                }
                guard distance(place) < distance(nearest[rank]) else { continue }
                (nearest[rank], place) = (place, nearest[rank])
            }
        }
        var isBlocked = false
        for rank in 0..<width where nearest[rank] >= 0 {
            let state = candidates[nearest[rank]].state
            if state == .new, !isHeld(nearest[rank]) { return (false, nearest[rank]) }
            if state == .new || state == .asked { isBlocked = true }
        }
        return (!isBlocked, nil)
    }

    /// The same for those that are followed: a few of them may be awaited still, and late ones are not waited for.
    private func surveyFollowed() -> (isDone: Bool, best: Int?) {
        var followed = 0
        var awaited = 0
        var isAnyHeld = false
        var best: Int?
        func cost(_ place: Int) -> (UInt16, Int32) {
            (asksOfRoot[Int(candidates[place].root)], candidates[place].score)
        }
        for place in candidates.indices where candidates[place].isFollowed {
            followed += 1
            if candidates[place].state == .asked { awaited += 1 }
            guard candidates[place].state == .new else { continue }
            guard !isHeld(place) else {
                isAnyHeld = true
                continue
            }
            if best.map({ cost(place) < cost($0) }) ?? true { best = place }
        }
        let spared = parameters.awaitsAll ? 0 : followed / 16
        return (best == nil && !isAnyHeld && awaited <= spared, best)
    }

    /// The nearest have answered, and nobody of the region was among them. False where the search is wide already.
    private mutating func widen() -> Bool {
        guard !isWide else { return false }
        isWide = true
        return true
    }

    private func place(of id: NodeID) -> Int? {
        let distance = id.distance(to: target)
        let index = firstIndex(notNearerThan: distance)
        guard index < order.count, candidates[Int(order[index])].distance == distance else { return nil }
        return Int(order[index])
    }

    private func firstIndex(notNearerThan distance: Bytes32) -> Int {
        var low = 0
        var high = order.count
        while low < high {
            let middle = (low + high) / 2
            if candidates[Int(order[middle])].distance < distance { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private mutating func learn(_ hint: Hint, root: UInt8, aim: UInt8, isFollowed: Bool) {
        guard hint.contact.id != own, !hint.contact.addresses.isEmpty else { return }
        let distance = hint.contact.id.distance(to: target)
        let index = firstIndex(notNearerThan: distance)
        if index < order.count, candidates[Int(order[index])].distance == distance { return }
        let time = hint.roundTrip.map { Int32(clamping: max(1, $0.nanoseconds / 62_500)) } ?? 0
        let candidate = Candidate(
            contact: hint.contact, distance: distance, score: score(time, distance), time: time, root: root,
            aim: aim, isFollowed: isFollowed)
        if candidates.count < min(parameters.candidateLimit, 255) {
            order.insert(UInt8(candidates.count), at: index)
            candidates.append(candidate)
            return
        }
        // The farthest one that nobody waits for makes room; one that is followed, the way out of a captured search, only
        // where there is no other and the newcomer is among the k nearest.
        func isIdle(_ place: UInt8) -> Bool { [.new, .failed].contains(candidates[Int(place)].state) }
        var farthest = order.lastIndex { isIdle($0) && !candidates[Int($0)].isFollowed }
        if (farthest ?? -1) < index, index < parameters.width { farthest = order.lastIndex { isIdle($0) } }
        guard let farthest, farthest >= index else { return }
        let place = order.remove(at: farthest)
        candidates[Int(place)] = candidate
        order.insert(place, at: index)
    }

    /// Of those that one answer names the few nearest to what was asked about will be asked too.
    private mutating func follow(_ named: some Collection<Hint>, toward aim: UInt8) {
        let point = aims[Int(aim)]
        var nearest: [(distance: Bytes32, place: Int)] = []
        for hint in named {
            guard let place = place(of: hint.contact.id) else { continue }
            let distance = hint.contact.id.distance(to: point)
            let index = nearest.firstIndex { distance < $0.distance } ?? nearest.count
            guard index < parameters.namesFollowed else { continue }
            nearest.insert((distance, place), at: index)
            if nearest.count > parameters.namesFollowed { nearest.removeLast() }
        }
        for (_, place) in nearest where candidates[place].state == .new {
            if !candidates[place].isFollowed { candidates[place].aim = aim }
            candidates[place].isFollowed = true
        }
    }

    /// What asking costs: the way there, and a quarter of a usual round trip for each bit still missing to the region
    /// (a node with full buckets of 20 names one about four bits nearer, at the price of one more round trip). The way
    /// counts once to twice, by a draw that differs from node to node and from target to target.
    private func score(_ time: Int32, _ distance: Bytes32) -> Int32 {
        let typical = Int32(clamping: parameters.typicalRoundTrip.nanoseconds / 62_500)
        let missing = Self.logarithm(distance.word0) - Self.logarithm(parameters.region?.radius ?? 0)
        let way = Int64(time > 0 ? time : typical)
        let draw = ((distance.word1 ^ target.word1 ^ own.bytes.word0) &* 0x9E37_79B9_7F4A_7C15) >> 48
        return Int32(clamping: way + (way * Int64(draw)) >> 16) + max(0, missing) * typical / (16 * 4)
    }

    /// The logarithm to base 2, in sixteenths, linear between powers; 0 for 0.
    private static func logarithm(_ value: UInt64) -> Int32 {
        guard value > 0 else { return 0 }
        let zeros = value.leadingZeroBitCount
        let fraction = zeros == 63 ? 0 : (value << UInt64(zeros + 1)) >> 60
        return Int32(63 - zeros) * 16 + Int32(fraction)
    }
}
