import SwarmCore

/// Who opens the DTLS handshake, from the author's side (RFC 8842 §5.2).
package enum SetupRole: String, Sendable, Hashable {
    case active
    case passive
    case either = "actpass"
}

extension SessionDescription {
    /// The value for `section`, or the session's where the section is silent.
    package func value(_ name: String, for section: MediaSection) -> String? {
        section.first(name) ?? attributes.first { $0.name == name }?.value
    }

    package func direction(of section: MediaSection) -> MediaDirection {
        if let own = section.direction { return own }
        for attribute in attributes {
            if let direction = MediaDirection(rawValue: attribute.name) { return direction }
        }
        return .sendReceive
    }

    package func iceCredentials(for section: MediaSection) -> ICECredentials? {
        guard let fragment = value("ice-ufrag", for: section), let password = value("ice-pwd", for: section),
            ICEText.isFragment(fragment), ICEText.isPassword(password)
        else { return nil }
        return ICECredentials(usernameFragment: fragment, password: password)
    }

    /// The SHA-256 fingerprint (RFC 8122); others beside it are ignored.
    package func fingerprint(for section: MediaSection) -> Bytes32? {
        for list in [section.attributes, attributes] {
            for attribute in list where attribute.name == "fingerprint" {
                if let digest = Fingerprint.parse(attribute.value) { return digest }
            }
        }
        return nil
    }

    package func setupRole(for section: MediaSection) -> SetupRole? {
        value("setup", for: section).flatMap { SetupRole(rawValue: $0) }
    }

    /// The tags of the first BUNDLE group (RFC 8843), nil when the description has none.
    package var bundleGroup: [String]? {
        for attribute in attributes where attribute.name == "group" {
            let fields = SDPText.fields(attribute.value[...])
            if fields.first == "BUNDLE" { return fields.dropFirst().map { String($0) } }
        }
        return nil
    }
}

/// The text of ICE credentials and candidates (RFC 8839 §5).
package enum ICEText {
    package static func isFragment(_ text: String) -> Bool { isICE(text, 4...256) }
    package static func isPassword(_ text: String) -> Bool { isICE(text, 22...256) }

    private static func isICE(_ text: String, _ lengths: ClosedRange<Int>) -> Bool {
        lengths.contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x2b, 0x2f, 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
                default: false
                }
            }
    }

    /// The address of a UDP candidate for RTP; nil for TCP, other components, and names such as mDNS's `.local`:
    /// their owners are met as peer-reflexive candidates.
    package static func address(ofCandidate value: String) -> NetworkAddress? {
        let fields = SDPText.fields(value[...])
        guard fields.count >= 8, fields[1] == "1", SDPText.equalIgnoringCase(fields[2], "udp"), fields[6] == "typ",
            let port = UInt16(fields[5]), port != 0, fields[4].utf8.count <= 45
        else { return nil }
        return NetworkAddress(host: String(fields[4]), port: port)
    }

    /// The value of `a=candidate` for the `index`th of our host addresses; the first is preferred (RFC 8445 §5.1.2).
    package static func hostCandidate(_ address: NetworkAddress, index: Int) -> String {
        let localPreference = UInt32(max(0, 65_535 - index))
        let priority = 126 << 24 | localPreference << 8 | 255
        return "\(index + 1) 1 udp \(priority) \(address.host) \(address.port) typ host"
    }
}

/// The text of a certificate's SHA-256 fingerprint: `sha-256 AB:CD:…`.
package enum Fingerprint {
    package static func parse(_ value: String) -> Bytes32? {
        let fields = SDPText.fields(value[...])
        guard fields.count == 2, SDPText.equalIgnoringCase(fields[0], "sha-256") else { return nil }
        let pieces = SDPText.fields(fields[1], separator: UInt8(ascii: ":"))
        guard pieces.count == 32, pieces.allSatisfy({ $0.utf8.count == 2 }) else { return nil }
        let bytes = pieces.compactMap { UInt8($0, radix: 16) }
        return Bytes32(bytes)
    }

    package static func format(_ digest: Bytes32) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var text = Array("sha-256 ".utf8)
        for index in 0..<32 {
            if index > 0 { text.append(UInt8(ascii: ":")) }
            text.append(digits[Int(digest[index] >> 4)])
            text.append(digits[Int(digest[index] & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
