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

    @Test func messages() {
        let id = RequestID(0x0102_0304_0506_0708)
        let query = GetQuery(key: record.key, kinds: .location)
        #expect(hex(encode(.ping(id, isClient: true))) == "10010203040506070801")
        #expect(
            hex(encode(.get(id, isClient: false, query)))
                == "14010203040506070800529ce6ad20a6cd1b298eb9b65d99ce69a08304ae9b34c4feee291e84488f88e8061000")
        #expect(
            hex(encode(.contacts(id, from: .origin, [NearContact(record.publisher, coordinate: .origin)])))
                == "13010203040506070800000000000000000000000000000000000105dc"
                + "0103a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b80204c00002011e6c0620010db8000000"
                + "0000000000000000011e6c0100000000000000000000000000000000000105dc")
        let age = Interval.seconds(30)
        #expect(hex(encode(.putResult(id, .stored, age: age, incumbent: nil))) == "1701020304050607080000007530")
    }
}
