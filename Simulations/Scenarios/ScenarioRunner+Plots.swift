/// Pictures of a run.
extension ScenarioRunner {
    package func plots() -> [Plot] { [] }
}
