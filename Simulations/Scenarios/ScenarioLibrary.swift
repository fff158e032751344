/// The scenarios that come with the program, in the order in which they are listed.
package enum ScenarioLibrary {
    private static let files: [(name: String, bytes: [UInt8])] = [
        ("quiet", PackageResources.quiet_yaml),
        ("discovery", PackageResources.discovery_yaml),
        ("churn", PackageResources.churn_yaml),
        ("liars", PackageResources.liars_yaml),
        ("crash", PackageResources.crash_yaml),
        ("partition", PackageResources.partition_yaml),
        ("mass-death", PackageResources.mass_death_yaml),
        ("paths", PackageResources.paths_yaml),
        ("tree", PackageResources.tree_yaml),
        ("flash-crowd", PackageResources.flash_crowd_yaml),
        ("balance", PackageResources.balance_yaml),
        ("everything", PackageResources.everything_yaml),
        ("calibrate", PackageResources.calibrate_yaml),
        ("dht-latency", PackageResources.dht_latency_yaml),
        ("dht-publish", PackageResources.dht_publish_yaml),
        ("dht-absence", PackageResources.dht_absence_yaml),
        ("dht-churn-10min", PackageResources.dht_churn_10min_yaml),
        ("dht-churn-1.4min", PackageResources.dht_churn_1_4min_yaml),
        ("dht-liars-20", PackageResources.dht_liars_20_yaml),
        ("dht-liars-30", PackageResources.dht_liars_30_yaml),
        ("dht-liars-50", PackageResources.dht_liars_50_yaml),
        ("dht-ground-ids", PackageResources.dht_ground_ids_yaml),
        ("dht-ground-silent", PackageResources.dht_ground_silent_yaml),
        ("dht-ground-publish", PackageResources.dht_ground_publish_yaml),
        ("dht-hot", PackageResources.dht_hot_yaml),
        ("dht-rest", PackageResources.dht_rest_yaml),
    ]

    package static var names: [String] { files.map(\.name) }

    /// Nil where no scenario has that name.
    package static func source(named name: String) -> ScenarioReader.Source? {
        files.first { $0.name == name }.map {
            ScenarioReader.Source(file: $0.name + ".yaml", text: String(decoding: $0.bytes, as: UTF8.self))
        }
    }

    /// "; did you mean 'quiet'?", or nothing.
    package static func suggestion(for name: String) -> String { Suggestion.text(for: name, among: names) }

    /// The `about` line of each.
    package static func abouts() throws(ScenarioError) -> [(name: String, about: String)] {
        var found: [(name: String, about: String)] = []
        for file in files {
            guard let source = source(named: file.name) else { continue }
            found.append((file.name, try ScenarioReader.read(source).about))
        }
        return found
    }
}
