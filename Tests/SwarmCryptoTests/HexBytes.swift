import SwarmCore
import SwarmCrypto

/// Bytes of a hexadecimal literal; spaces are skipped. A literal with a typing error becomes shorter and fails its test.
func hex(_ text: String) -> [UInt8] {
    let digits = text.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

func bytes32(_ text: String) -> Bytes32 { Bytes32(hex(text)) ?? .zero }
