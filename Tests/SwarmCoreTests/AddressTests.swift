import SwarmCore
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        "127.0.0.1:7788", "255.255.255.255:0", "[::1]:7788", "[2001:db8::1]:1", "[::]:9", "[fe80::1:2:3:4]:65535",
        "[1:2:3:4:5:6:7:8]:80", "[1:0:0:2::3]:80",
    ])
    func textRoundTrips(text: String) {
        #expect(NetworkAddress(text: text)?.description == text)
    }

    @Test(arguments: [
        "", "127.0.0.1", ":1", "127.0.0.1:", "127.0.0.1:65536", "1.2.3:4", "1.2.3.256:4", "::1:80", "[::1]", "[::1:80",
        "[1::2::3]:4", "[1:2:3:4:5:6:7:8:9]:4", "[12345::]:1", "localhost:80", "[127.0.0.1]:80", "+1.2.3.4:5",
    ])
    func badTextIsRefused(text: String) {
        #expect(NetworkAddress(text: text) == nil)
    }

    @Test func mappedAddressesAreIPv4() {
        #expect(NetworkAddress(text: "[::ffff:127.0.0.1]:5") == .loopback(port: 5))
        #expect(NetworkAddress.loopback(port: 5).isLoopback && !NetworkAddress.loopback(port: 5).isPrivate)
        for text in [
            "10.0.0.1:1", "172.31.0.1:1", "192.168.1.1:1", "100.64.0.1:1", "169.254.0.1:1", "[fd00::1]:1",
            "[fe80::1]:1",
        ] {
            #expect(NetworkAddress(text: text)?.isPrivate == true, "\(text)")
        }
        for text in ["172.32.0.1:1", "100.128.0.1:1", "8.8.8.8:1", "[2001:db8::1]:1"] {
            #expect(NetworkAddress(text: text)?.isPrivate == false, "\(text)")
        }
    }

    @Test func listsHoldFourAndPromote() {
        var list = AddressList((1...6).map { NetworkAddress.loopback(port: $0) })
        #expect(list.count == 4)
        list.append(.loopback(port: 2))
        #expect(list.map(\.port) == [1, 2, 3, 4])
        list.promote(.loopback(port: 3))
        #expect(list.map(\.port) == [3, 1, 2, 4])
        list.promote(.loopback(port: 9))
        #expect(list.map(\.port) == [9, 3, 1, 2])
    }

    @Test(arguments: [
        "demo", "live/alice", "0b9f6a3e-0a52-4b6b-a4a1-6f2d8d0a9d11", "a/b/c/d/e/f/g/h", "~k/n", "...", "A.b_c-d~e",
        String(repeating: "x", count: 64),
    ])
    func streamNamesAccepted(text: String) {
        #expect(StreamName(text)?.text == text)
    }

    @Test(arguments: [
        "", "/", "a/", "/a", "a//b", ".", "..", "a/../b", "a b", "ä", "a?b", "a/b/c/d/e/f/g/h/i",
        String(repeating: "x", count: 65), String(repeating: "abcdefgh/", count: 40), "a%2fb", "a\0",
    ])
    func streamNamesRefused(text: String) {
        #expect(StreamName(text) == nil)
    }

    @Test func prefixesCountWholeSegments() throws {
        let name = try #require(StreamName("room/alice"))
        #expect(name.isUnder("") && name.isUnder("room") && name.isUnder("room/") && name.isUnder("room/alice"))
        #expect(!name.isUnder("roo") && !name.isUnder("room/al") && !name.isUnder("room/alice/x"))
    }
}
