/// Makes a failing life smaller while it still fails by the same checker.
package enum LifeShrinker {
    /// Runs at most `runs` lives. `failing` says by which checkers a plan fails: in tests a stand-in, else `checkers(of:)`.
    package static func shrink(
        _ plan: LifePlan, runs: Int, failing: (LifePlan) -> Set<String> = checkers(of:)
    ) -> LifePlan {
        let wanted = failing(plan)
        guard !wanted.isEmpty else { return plan }
        var smallest = plan
        var left = runs - 1
        var hasShrunk = true
        while hasShrunk, left > 0 {
            hasShrunk = false
            for candidate in smallest.reductions where left > 0 {
                left -= 1
                guard !failing(candidate).isDisjoint(with: wanted) else { continue }
                smallest = candidate
                hasShrunk = true
                break
            }
        }
        return smallest
    }

    package static func checkers(of plan: LifePlan) -> Set<String> {
        Set(RandomLife(plan).run().violations.map(\.checker))
    }
}

extension LifePlan {
    /// Plans with something less: first the big pieces, then one fault at a time, then a calmer network.
    var reductions: [LifePlan] {
        var plans: [LifePlan] = []
        func reduce(_ change: (inout LifePlan) -> Void) {
            var plan = self
            change(&plan)
            plans.append(plan)
        }
        if !insiders.isEmpty { reduce { $0.insiders = [] } }
        if hasReplays { reduce { $0.hasReplays = false } }
        if hasHandshakeFlood { reduce { $0.hasHandshakeFlood = false } }
        if media != nil { reduce { $0.media = nil } }
        if faults.count > 3 {
            reduce { $0.faults = Array(faults.prefix(faults.count / 2)) }
            reduce { $0.faults = Array(faults.suffix(faults.count / 2)) }
        }
        for index in faults.indices { reduce { $0.faults.remove(at: index) } }
        if nodes > 4 {
            reduce { plan in
                plan.nodes = nodes * 3 / 4
                plan.faults = faults.filter { $0.node ?? 0 < plan.nodes }
            }
        }
        if insiders.count > 1 { for index in insiders.indices { reduce { $0.insiders.remove(at: index) } } }
        if network != .undisturbed { reduce { $0.network = .undisturbed } }
        if hasDistances { reduce { $0.hasDistances = false } }
        if streams > 1 { reduce { $0.streams = 1 } }
        return plans
    }
}
