import SwarmCore
import SwarmCrypto
import Testing

/// Join strings, key files and contacts: what they hold, and what is refused.
struct TextFormTests {
    private let secret = Bytes32(1, 2, 3, 4)
    private func peer(_ number: UInt8, ipv6: Bool = false) -> JoinString.Peer {
        let key = PublicKey(Bytes32(UInt64(number), 0, 0, 0))
        let address =
            ipv6
            ? NetworkAddress(high: 0x2001_0db8 << 32, low: UInt64(number), port: 7788)
            : NetworkAddress(ipv4: 0x0a00_0000 | UInt32(number), port: 7788)
        return JoinString.Peer(key: key, address: address)
    }

    @Test(arguments: 1...8)
    func aJoinStringComesBack(peers: Int) throws {
        let list = (0..<peers).map { peer(UInt8($0 + 1), ipv6: $0 % 2 == 1) }
        let join = try #require(JoinString(secret: secret, peers: list))
        #expect(join.text.hasPrefix("mfs1:"))
        #expect(try JoinString(parsing: join.text) == join)
        #expect(try JoinString(parsing: "  \(join.text)\n") == join)
        #expect(join.contacts.count == peers)
        #expect(join.contacts.first?.id == CryptoSuite.real.nodeID(of: list[0].key))
    }

    @Test func thePublishedJoinStringIsThisOne() throws {
        let join = try #require(
            JoinString(
                secret: .zero,
                peers: [
                    JoinString.Peer(key: PublicKey(Bytes32(0, 0, 0, 1)), address: .loopback(port: 7788))
                ]))
        let zeros = String(repeating: "A", count: 43)
        #expect(join.text == "mfs1:AQ" + zeros + String(repeating: "A", count: 41) + "EEfwAAAR5s")
    }

    @Test func oneKeyAtTwoAddressesIsOneContact() throws {
        var second = peer(1)
        second.address = NetworkAddress.loopback(port: 9)
        let join = try #require(JoinString(secret: secret, peers: [peer(1), second, peer(1)]))
        #expect(join.peers.count == 2)
        #expect(join.contacts.count == 1)
        #expect(join.contacts[0].addresses.count == 2)
    }

    @Test func malformedJoinStringsAreNamed() throws {
        let good = try #require(JoinString(secret: secret, peers: [peer(1)]))
        let bytes = try #require(Base64URL.decode(String(good.text.dropFirst(5))))
        func text(_ bytes: [UInt8]) -> String { "mfs1:" + Base64URL.encode(bytes) }
        let onePeer = Array(bytes[33...])
        let ninePeers = (1...9).reduce(into: Array(bytes[..<33])) { list, number in
            var peer = onePeer
            peer[7] = UInt8(number)
            list += peer
        }
        let mappedIPv4 = Array(bytes[..<65]) + [6] + hex("00000000000000000000ffff0a000001") + [0x1e, 0x6c]
        let cases: [(String, JoinStringError)] = [
            ("", .empty), ("   \n", .empty), ("mfs2:AAAA", .missingPrefix), ("hello", .missingPrefix),
            ("MFS1:AAAA", .missingPrefix), ("mfs1:", .truncated), ("mfs1:A", .notBase64URL),
            ("mfs1:AQ=", .notBase64URL), ("mfs1:A+/A", .notBase64URL), (good.text + " x", .notBase64URL),
            ("mfs1:" + String(repeating: "A", count: 5000), .tooLong),
            (text([2] + bytes.dropFirst()), .unknownVersion(2)),
            (text(Array(bytes[..<20])), .truncated), (text(Array(bytes[..<33])), .noPeers),
            (text(Array(bytes.dropLast())), .truncated), (text(bytes + [1]), .truncated),
            (text(bytes + onePeer), .duplicatePeer), (text(ninePeers), .tooManyPeers),
            (text(Array(bytes[..<65]) + [5] + bytes[66...]), .malformedAddress), (text(mappedIPv4), .malformedAddress),
            (text(Array(bytes[..<66]) + [0, 0, 0, 0] + bytes[70...]), .malformedAddress),
            (text(Array(bytes[..<70]) + [0, 0]), .malformedAddress),
        ]
        for (input, expected) in cases {
            do throws(JoinStringError) {
                _ = try JoinString(parsing: input)
                Issue.record("accepted \(input)")
            } catch {
                #expect(error == expected, "\(input): \(error)")
                #expect(!error.description.contains("\n"))
            }
        }
    }

    @Test func anIdentityComesBackFromItsFile() throws {
        let identity = Identity(seed: secret)
        let text = identity.keyFileText
        #expect(text == "mafalda-ed25519-seed AAAAAAAAAAEAAAAAAAAAAgAAAAAAAAADAAAAAAAAAAQ\n")
        #expect(try Identity(keyFileText: text).key == identity.key)
        #expect(try Identity(keyFileText: String(text.dropLast())).id == identity.id)
        let cases: [(String, KeyFileError)] = [
            ("", .empty), ("\n", .empty), ("-----BEGIN PRIVATE KEY-----", .unknownFormat),
            ("mafalda-ed25519-seed ", .unknownFormat), ("mafalda-ed25519-seed AAAA", .malformedKey),
            (String(text.dropLast(2)) + "=\n", .malformedKey), (text + text, .malformedKey),
        ]
        for (input, expected) in cases {
            do throws(KeyFileError) {
                _ = try Identity(keyFileText: input)
                Issue.record("accepted \(input)")
            } catch {
                #expect(error == expected, "\(input)")
            }
        }
    }

    @Test func contactsComeBackAndMalformedOnesDoNot() throws {
        let addresses = AddressList([
            NetworkAddress(ipv4: 0x7f00_0001, port: 7788), NetworkAddress(high: 1, low: 2, port: 3),
        ])
        let contact = CryptoSuite.real.contact(PublicKey(secret), addresses)
        var storage = [UInt8](repeating: 0, count: 200)
        var writer = ByteWriter(storage.mutableSpan)
        writer.append(contact)
        let count = writer.count
        #expect(count == 32 + 1 + 7 + 19)
        let encoded = Array(storage[..<count])
        #expect(readContact(encoded) == contact)
        for length in 0..<count { #expect(readContact(Array(encoded[..<length])) == nil) }
        var tooMany = encoded
        tooMany[32] = 5
        #expect(readContact(tooMany) == nil)
        let twice = secret.array + [2, 4, 127, 0, 0, 1, 0, 1, 4, 127, 0, 0, 1, 0, 1]
        #expect(readContact(twice) == nil)
        #expect(readContact(secret.array + [1, 5, 127, 0, 0, 1, 0, 1]) == nil)
    }

    private func readContact(_ bytes: [UInt8]) -> Contact? {
        var reader = ByteReader(bytes.span)
        return reader.readContact(.real)
    }
}
