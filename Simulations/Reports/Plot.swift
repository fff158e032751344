/// A picture of a report, as text.
package struct Plot: Sendable {
    package let name: String
    package let svg: String
}
