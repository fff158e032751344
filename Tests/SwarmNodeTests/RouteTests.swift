import HTTPTypes
import SwarmCore
import SwarmNode
import Testing

struct RouteTests {
    private static func name(_ text: String) -> StreamName {
        guard let name = StreamName(text) else { preconditionFailure("\(text) is not a name") }
        return name
    }

    private static let paths: [(path: String, route: Route)] = [
        ("/", Route.page), ("/page.js", .pageScript), ("/whip/demo", .whip(name("demo"))),
        ("/whip/live/alice", .whip(name("live/alice"))), ("/whep/a%7Eb", .whep(name("a~b"))),
        ("/api/v1/rtp/x", .plainRTP(name("x"))), ("/api/v1/routes/live/alice", .route(name("live/alice"))),
        ("/whip/", .invalidName), ("/whip/a//b", .invalidName), ("/whip/a/", .invalidName),
        ("/whip/..", .invalidName), ("/whip/a/../b", .invalidName), ("/whip/a%2Fb", .invalidName),
        ("/whip/a%2", .invalidName), ("/whip/a%zz", .invalidName), ("/whip/a%FF", .invalidName),
        ("/whip/caf\u{e9}", .invalidName), ("/whip/" + String(repeating: "a", count: 65), .invalidName),
        ("/whip/1/2/3/4/5/6/7/8/9", .invalidName), ("/whip", .unknown), ("//", .unknown), ("", .unknown),
        ("/session/short", .unknown),
        ("/session/" + String(repeating: "A", count: 43), .session(String(repeating: "A", count: 43))),
        ("/session/" + String(repeating: "/", count: 43), .unknown), ("/healthz", .health), ("/healthz/", .unknown),
        ("/api/v1/dht", .discovery), ("/api/v1/dht/records/live/a", .record(name("live/a"))),
        ("/api/v1/dht/records/", .invalidName), ("/api/v1/dht/ping/short", .unknown),
        ("/api/v1/dht/ping/" + NodeID(Bytes32(1, 2, 3, 4)).description, .ping(NodeID(Bytes32(1, 2, 3, 4)))),
        ("/api/v1/streams", .streams), ("/etc/passwd", .unknown),
    ]

    @Test(arguments: paths)
    func parsesPath(path: String, route: Route) {
        #expect(Route(path: path) == route)
    }

    @Test(
        arguments: [
            ("/a?token=x&b=1", "/a", "x"), ("/a?b=1&token=x%20y", "/a", "x y"), ("/a", "/a", nil),
            ("/a?token", "/a", ""),
            ("/a?token=%G1", "/a", nil), ("/a?token=1=2", "/a", "1=2"), ("?token=x", "", "x"), ("", "", nil),
        ] as [(String, String, String?)])
    func parsesTarget(text: String, path: String, token: String?) {
        let target = RequestTarget(text)
        #expect(target.path == path)
        #expect(target["token"] == token)
    }

    @Test(
        arguments: [
            ("stun:a.example:3478", "<stun:a.example:3478>; rel=\"ice-server\""),
            ("turn:t:3478?transport=udp;username=u;credential=c", "turn:t:3478?transport=udp"), ("http://x", nil),
            ("stun:a>b:1", nil), ("turn:t:1;x=1", nil), ("stun:", nil), ("stun:a\r\nb:1", nil),
        ] as [(String, String?)])
    func parsesICEServer(text: String, contains: String?) {
        let server = ICEServer(text: text)
        #expect((server != nil) == (contains != nil))
        if let contains, let server { #expect(contains.contains(server.url)) }
    }

    @Test(
        arguments: [
            (0, "0"), (1.5, "1.5"), (1.23456, "1.235"), (-2, "-2"), (.nan, "null"), (.infinity, "null"),
            (1e300, "1e+300"),
        ] as [(Double, String)])
    func writesNumbers(value: Double, text: String) {
        #expect(JSONWriter.number(value) == text)
    }

    @Test(arguments: [
        ("a\"b\\c", "\"a\\\"b\\\\c\""), ("\u{1}\n", "\"\\u0001\\n\""), ("é/<", "\"é/<\""), ("\u{2028}", "\"\\u2028\""),
    ])
    func quotesStrings(value: String, text: String) {
        #expect(JSONWriter.quoted(value) == text)
    }

    @Test func nestsObjectsAndArrays() {
        let text = JSONWriter.object { out in
            out.member("a", 1)
            out.array("b", [1, 2]) { $0.integer($1) }
            out.array("c", [Int]()) { $0.integer($1) }
            out.object("d") { $0.member("e", true) }
            out.member("f", String?.none)
        }
        #expect(text == #"{"a":1,"b":[1,2],"c":[],"d":{"e":true},"f":null}"#)
    }
}
