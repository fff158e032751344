import DHT
import SwarmCore
import SwarmCrypto
import Testing

/// The vectors of PROTOCOL.md: whoever changes a byte here changes the wire for everybody.
@Suite struct VectorTests {
    /// Seed 00 01 02 … 1f.
    private let identity = Identity(
        seed: Bytes32(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f, 0x1011_1213_1415_1617, 0x1819_1a1b_1c1d_1e1f))

    private func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private var record: Record {
        var addresses = AddressList(NetworkAddress(ipv4: 0xc000_0201, port: 7788))
        addresses.append(NetworkAddress(high: 0x2001_0db8_0000_0000, low: 1, port: 7788))
        var statement = RecordStatement(
            kind: .streamOrigin, publisher: identity.contact(at: addresses), sequence: 1_800_000_000_000,
            lifetime: .seconds(45))
        statement.epoch = 7
        statement.name = "live/alice"
        return Record(statement, by: identity)
    }

    @Test func places() {
        #expect(
            hex(RecordPlace.path("live/alice").array)
                == "529ce6ad20a6cd1b298eb9b65d99ce69a08304ae9b34c4feee291e84488f88e8")
        #expect(hex(RecordPlace.path("").array) == "ba11297638903636506b3a0b482cd7058a7002bf868c30a7b2e9a0e4a0d1c01b")
        #expect(RecordPlace.node(identity.id) == identity.id.bytes)
    }

    @Test func recordBodyAndSignature() {
        #expect(
            hex(record.body)
                == "010003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b80204c00002011e6c0620010db800"
                + "00000000000000000000011e6c000001a3185c50000000afc8070a6c6976652f616c69636500")
        #expect(
            hex(record.signature.bytes.array)
                == "2e3f48041cb20344fe12b1384f4816a7b23d7f35ebec30c027c2932c42187414ed37e5a321a13a72dd2ed23b19859179"
                + "f240f6c92b66dd51d44465c77b14b80e")
    }

    private let place = "0000000000000000000000000000000000" + "0105dc"

    @Test func messages() {
        let id = RequestID(0x0102_0304_0506_0708)
        let head = "0102030405060708"
        let query = GetQuery(key: record.key, kinds: .location)
        #expect(hex(encode(.ping(id, isClient: true, from: .origin))) == "10" + head + "05" + place)
        #expect(hex(encode(.pong(id, from: .origin))) == "11" + head + place)
        #expect(
            hex(encode(.findNode(id, isClient: false, from: nil, target: identity.id.bytes)))
                == "12" + head + "009d24e2eeaf27c2a088a564a32fc03a882dcd9804dbc0d03a119491e54ba0c933")
        #expect(
            hex(encode(.get(id, isClient: false, from: nil, query)))
                == "14" + head + "00529ce6ad20a6cd1b298eb9b65d99ce69a08304ae9b34c4feee291e84488f88e8061000")
        let near = NearContact(record.publisher, coordinate: .origin)
        let nearText =
            "0103a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b80204c00002011e6c0620010db8000000"
            + "0000000000000000011e6c01" + place
        #expect(hex(encode(.contacts(id, from: .origin, [near]))) == "13" + head + place + nearText)
        let recordText = "4056" + hex(record.body) + hex(record.signature.bytes.array)
        let held = HeldRecord(record: record, remaining: .seconds(30), age: .seconds(60))
        #expect(
            hex(encode(.values(id, from: .origin, total: 0, [held], closer: [near])))
                == "15" + head + place + "0001" + "00000075300000ea60" + recordText + nearText)
        #expect(
            hex(encode(.offerCopy(id, isClient: false, HeldRecord(record: record, remaining: .seconds(30)))))
                == "16" + head + "02" + recordText + "00007530")
        let age = Interval.seconds(30)
        #expect(hex(encode(.putResult(id, .stored, age: age, incumbent: nil))) == "17" + head + "0000007530")
    }

    @Test func boundNames() throws {
        let owner = Identity(
            seed: Bytes32(
                0x2021_2223_2425_2627, 0x2829_2a2b_2c2d_2e2f, 0x3031_3233_3435_3637, 0x3839_3a3b_3c3d_3e3f))
        let name = BoundName.segment(of: owner.key, suite: .real) + "/live/a"
        #expect(name == "~ewcdwoqzn36o7p23coinpdnvfov4fehradfyivkqr26pxgjdxjma/live/a")
        let delegation = try #require(
            Delegation(
                to: identity.id, scope: "live", sequence: 1_799_999_990_000, lifetime: .seconds(3600), by: owner))
        #expect(
            delegation.text
                == "mfd1:ASmsuuFBvMrwsi4alNNNC8c2HlJtC_4SyJeUvJMilm3XnSTi7q8nwqCIpWSjL8A6iC3NmATbwNA6EZSR5UugyTMAAAG"
                + "jGFwo8AAADhAEbGl2ZYR1iRHPvI4TabYtTpq0u_LSzPwAiPoNoptpdMcJjhgZGjeXSry8Ad-5rzArhHfE6xE2V6D8lXnvO_x"
                + "hSJLu2g8")
        var statement = RecordStatement(
            kind: .streamOrigin,
            publisher: identity.contact(at: AddressList(NetworkAddress(ipv4: 0xc000_0201, port: 7788))),
            sequence: 1_800_000_000_000, lifetime: .seconds(45))
        statement.epoch = 7
        statement.name = name
        statement.delegation = delegation
        let record = Record(statement, by: identity)
        #expect(record.delegationFault(wallMilliseconds: 1_800_000_000_000, suite: .real) == nil)
        #expect(
            hex(record.body) + hex(record.signature.bytes.array)
                == "010003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b80104c00002011e6c000001a3"
                + "185c50000000afc8073c7e65776364776f717a6e33366f37703233636f696e70646e76666f7634666568726164667969"
                + "766b717232367078676a64786a6d612f6c6976652f610040920129acbae141bccaf0b22e1a94d34d0bc7361e526d0bfe"
                + "12c89794bc9322966dd79d24e2eeaf27c2a088a564a32fc03a882dcd9804dbc0d03a119491e54ba0c933000001a3185c"
                + "28f000000e10046c69766584758911cfbc8e1369b62d4e9ab4bbf2d2ccfc0088fa0da29b6974c7098e18191a37974abc"
                + "bc01dfb9af302b8477c4eb113657a0fc9579ef3bfc614892eeda0fd791a438158cf617b5dbc2ca46a4927100e552befe"
                + "388a7ab14c9e88b1c0cc2d4d2c4c89a3702ac1882c17365a4153426876b7d5423664989db798a1b0ea3703")
    }
}
