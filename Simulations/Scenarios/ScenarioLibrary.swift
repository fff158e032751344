import SwarmCore

/// The scenarios that come with the program.
package enum ScenarioLibrary {
    package static var names: [String] { ["discovery", "quiet"] }

    package static func scenario(named name: String) -> Scenario? {
        var scenario = Scenario(name: name)
        switch name {
        case "quiet": break
        case "discovery":
            scenario.hasMembership = false
            var streams = StreamWorkload(name: "streams")
            streams.count = 100
            var lookups = LookupWorkload(name: "lookups")
            lookups.rate = 50
            scenario.streams = [streams]
            scenario.lookups = [lookups]
        default: return nil
        }
        return scenario
    }
}
