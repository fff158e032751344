/// Bounds of the HTTP side, with the arithmetic that set them.
package enum HTTPLimits {
    /// The largest request body. A browser's offer with every codec and 16 tracks is about 60 KB.
    package static var bodyBytes: Int { 128 << 10 }
    /// What is read and thrown away of a body that is too large, so that its sender sees the 413.
    package static var drainedBytes: Int { 1 << 20 }
    /// A whole body arrives within this; the offer is one or two round trips of data.
    package static var bodySeconds: Int64 { 10 }
    /// A connection without a complete request closes after this.
    package static var idleSeconds: Int64 { 30 }
    /// Open connections. Each costs about 30 KB here (buffers, task, pipeline): 15 MB when full.
    package static var connections: Int { 512 }
    /// Of one host: a browser opens six to a node, and some sit behind one address together.
    package static var connectionsPerHost: Int { 128 }
    /// Of this machine itself; the rest of `connections` stays for the others.
    package static var connectionsOfThisMachine: Int { 448 }
    /// One header line: a token of `AccessTokens.maximumBytes` and a cookie or two from neighbours on localhost.
    package static var headerFieldBytes: Int { 16 << 10 }
    package static var headerListBytes: Int { 32 << 10 }
    package static var headerFieldCount: Int { 100 }
    /// A request target: a name of 255 bytes, percent-encoded, and a token.
    package static var targetBytes: Int { 8 << 10 }
    /// Readers of `/api/v1/events`, each with a connection and a buffer of `eventBacklog` events.
    package static var eventReaders: Int { 64 }
    /// Events kept for a reader that falls behind; the oldest go first.
    package static var eventBacklog: Int { 64 }
    /// Rows in one answer of `/api/v1/streams`: about 200 bytes each.
    package static var streamsPerAnswer: Int { 5_000 }
    /// Samples of one metric family; more is a label that was not bounded.
    package static var samplesPerFamily: Int { 1_000 }
    /// A comment goes to every event reader this often, so that proxies keep the connection and the dead are found.
    package static var keepAliveSeconds: Int64 { 15 }
    /// The longest life of a record put by hand: an hour of looking around.
    package static var announcementSeconds: Int { 3600 }
    /// What a client waits before it asks again for a stream that nobody publishes yet.
    package static var notLiveRetrySeconds: Int { 2 }
}
