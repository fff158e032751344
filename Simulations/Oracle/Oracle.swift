import SwarmCore

/// What would be best if everything were known: delays, paths and trees from the network's truth.
///
/// `roundTrip` is the undisturbed round trip in milliseconds between two nodes by index, symmetric, 0 to oneself.
package struct Oracle {
    package let nodeCount: Int
    package let roundTrip: (Int, Int) -> Double

    package init(nodeCount: Int, roundTrip: @escaping (Int, Int) -> Double) {
        self.nodeCount = nodeCount
        self.roundTrip = roundTrip
    }

    // MARK: Paths

    /// One way between two nodes in milliseconds, without relays.
    package func delay(_ from: Int, _ to: Int) -> Double { roundTrip(from, to) / 2 }

    /// The shortest way with at most one relay among `relays`, and that relay if it helps. O(relays).
    package func bestDelay(_ from: Int, _ to: Int, relays: some Sequence<Int>) -> (milliseconds: Double, relay: Int?) {
        var best = (milliseconds: delay(from, to), relay: Int?.none)
        for relay in relays where relay != from && relay != to {
            let detour = delay(from, relay) + delay(relay, to)
            if detour < best.milliseconds { best = (detour, relay) }
        }
        return best
    }

    // MARK: Trees

    /// A tree from an origin: parents by place in `members`, and each member's delay from the origin over it.
    package struct Tree: Sendable {
        /// The nodes of the tree, the origin first, in the order in which they were attached.
        package var nodes: [Int]
        /// Place in `nodes` of each node's parent; −1 for the origin.
        package var parents: [Int]
        /// One way from the origin in milliseconds.
        package var delays: [Double]

        /// The mean over all but the origin; 0 for a tree of one.
        package var meanDelay: Double {
            guard delays.count > 1 else { return 0 }
            return delays.reduce(0, +) / Double(delays.count - 1)
        }
    }

    /// The central greedy tree: members are attached one by one, each time the one that is nearest to the origin over
    /// the tree so far, at a node with fewer than `degree` children. A near-optimal yardstick, not the optimum, which
    /// is NP-hard (ANCHORS: 0.915 of the direct star at degree 8 on one data set).
    ///
    /// O(n²) with n members: for every member outside the best place to attach is kept, and found anew only when that
    /// place has filled up. 10,000 members take about a second; beyond, pass a sample.
    package func greedyTree(origin: Int, members: [Int], degree: Int) -> Tree {
        precondition(degree > 0, "a tree of degree \(degree)")
        var tree = Tree(nodes: [origin], parents: [-1], delays: [0])
        var free = [degree]
        var outside = members.filter { $0 != origin }
        /// For each outside member: its best place and the delay there.
        var best = outside.map { (place: 0, delay: delay(origin, $0)) }
        while !outside.isEmpty {
            var chosen = 0
            for index in outside.indices where best[index].delay < best[chosen].delay { chosen = index }
            let (place, delay) = best[chosen]
            let newcomer = outside[chosen]
            outside.swapAt(chosen, outside.count - 1)
            best.swapAt(chosen, best.count - 1)
            outside.removeLast()
            best.removeLast()
            tree.nodes.append(newcomer)
            tree.parents.append(place)
            tree.delays.append(delay)
            free.append(degree)
            free[place] -= 1
            let newest = tree.nodes.count - 1
            for index in outside.indices {
                if free[best[index].place] == 0 {
                    best[index] = bestPlace(for: outside[index], in: tree, free: free)
                } else {
                    let through = delay + self.delay(newcomer, outside[index])
                    if through < best[index].delay { best[index] = (newest, through) }
                }
            }
        }
        return tree
    }

    private func bestPlace(for node: Int, in tree: Tree, free: [Int]) -> (place: Int, delay: Double) {
        var best = (place: -1, delay: Double.infinity)
        for place in tree.nodes.indices where free[place] > 0 {
            let through = tree.delays[place] + delay(tree.nodes[place], node)
            if through < best.delay { best = (place, through) }
        }
        return best
    }

    /// One way from the origin to each of `nodes` when parents (place in `nodes`, −1 at the origin, which is first) are
    /// followed: what a real tree gives. Nil where the parents do not lead to the origin.
    package func delays(nodes: [Int], parents: [Int]) -> [Double]? {
        var delays = [Double?](repeating: nil, count: nodes.count)
        for start in nodes.indices {
            var chain: [Int] = []
            var place = start
            while delays[place] == nil {
                guard !chain.contains(place), chain.count <= nodes.count else { return nil }
                chain.append(place)
                guard parents[place] >= 0 else { break }
                place = parents[place]
            }
            for place in chain.reversed() {
                let parent = parents[place]
                if parent < 0 {
                    guard place == 0 else { return nil }
                    delays[place] = 0
                } else {
                    guard let above = delays[parent] else { return nil }
                    delays[place] = above + delay(nodes[parent], nodes[place])
                }
            }
        }
        return delays.compactMap { $0 }
    }
}

/// The identities of the living, sorted: who is nearest to a key in Kademlia's metric, without asking anybody.
package struct KeySpace: Sendable {
    private let entries: [(id: NodeID, index: Int)]

    /// `living` are identities with the index of the node each runs on. O(n log n).
    package init(_ living: [(id: NodeID, index: Int)]) {
        entries = living.sorted { $0.id < $1.id }
    }

    /// Everybody that is up in `simulation`.
    package init(living simulation: Simulation) {
        self.init(
            simulation.nodes.compactMap { node in node.host.map { ($0.contact.id, node.index) } })
    }

    package var count: Int { entries.count }

    /// The `limit` nodes nearest to `key`, nearest first. O(limit + log² n): the sorted ids are a trie, of which the
    /// branch of the key's own bit is taken first at every level.
    package func closest(to key: Bytes32, limit: Int) -> [(id: NodeID, index: Int)] {
        var found: [(id: NodeID, index: Int)] = []
        collect(entries.indices, bit: 0, key, limit, &found)
        return found
    }

    private func collect(
        _ range: Range<Int>, bit: Int, _ key: Bytes32, _ limit: Int, _ found: inout [(id: NodeID, index: Int)]
    ) {
        guard !range.isEmpty, found.count < limit else { return }
        guard range.count > 1, bit < 256 else {
            for place in range where found.count < limit { found.append(entries[place]) }
            return
        }
        var low = range.lowerBound
        var high = range.upperBound
        while low < high {
            let middle = (low + high) / 2
            if Self.bit(bit, of: entries[middle].id.bytes) { high = middle } else { low = middle + 1 }
        }
        let zeros = range.lowerBound..<low
        let ones = low..<range.upperBound
        let isOne = Self.bit(bit, of: key)
        collect(isOne ? ones : zeros, bit: bit + 1, key, limit, &found)
        collect(isOne ? zeros : ones, bit: bit + 1, key, limit, &found)
    }

    private static func bit(_ index: Int, of value: Bytes32) -> Bool {
        value[index / 8] & (0x80 >> UInt8(index % 8)) != 0
    }
}
