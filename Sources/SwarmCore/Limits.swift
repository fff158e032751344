/// Bounds shared by several modules, with the arithmetic that set them. A module's own bounds live in a file of the
/// same kind in that module.
package enum Limits {
    /// The largest datagram sent before the path is probed: IPv6's minimum MTU (RFC 8200 §5) less 40 bytes of IPv6 and
    /// 8 of UDP header.
    package static var datagramBytes: Int { 1232 }
    /// The largest datagram accepted from a socket: what any path of today's Internet carries.
    package static var receiveBytes: Int { 2048 }
    /// The largest control message: a datagram less link header, tag and the framing of two messages.
    package static var messageBytes: Int { 1152 }
    /// The most nodes a full member list holds (DESIGN: full lists up to about 2,000).
    package static var members: Int { 4096 }
}
