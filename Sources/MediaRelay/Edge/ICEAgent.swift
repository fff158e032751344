import SwarmCore

/// What a connectivity check meant.
enum ICEOutcome {
    case none
    case validated(NetworkAddress, replacing: NetworkAddress?)
}

/// The half of ICE a node needs, and the checks a headless client adds.
///
/// As lite agent (RFC 8445 §2.5): answers checks, learns the peer's addresses from them (peer-reflexive candidates are
/// the only remote candidates there are), follows the newest nomination. As controlling agent: sends checks to every
/// remote candidate, nominates all of them (aggressive: a node is lite and takes the newest), renews consent.
struct ICEAgent: ~Copyable, Sendable {
    private let role: ICERole
    private var local: ICEKeys
    private var remote: ICEKeys
    /// Accepted beside `local` after a restart until the first check with the new credentials.
    private var previousLocal: ICEKeys?
    private var addresses = ValidatedAddresses()
    private var checks: ICECheckList
    private let tieBreaker: UInt64
    private var generator: SeededGenerator
    /// The last valid check, answer, or authentic media packet.
    private(set) var lastHeard: MonotonicInstant?

    init(configuration: TransportConfiguration, generator: SeededGenerator, at now: MonotonicInstant) {
        self.generator = generator
        role = configuration.iceRole
        local = ICEKeys(configuration.local)
        remote = ICEKeys(configuration.remote)
        tieBreaker = self.generator.next()
        let targets = configuration.iceRole == .controlling ? configuration.remoteCandidates : []
        checks = ICECheckList(candidates: targets, at: now)
    }

    // MARK: Reading

    /// Where to send: the nominated address, else the first that passed a check.
    var selected: NetworkAddress? { addresses.selected }
    var addressCount: Int { addresses.count }
    func address(at index: Int) -> NetworkAddress { addresses[index] }
    func isValidated(_ address: NetworkAddress) -> Bool { addresses.contains(address) }

    func accepts(username: Span<UInt8>) -> Bool {
        local.fragment.span.elementsEqual(username)
            || (previousLocal?.fragment.span.elementsEqual(username) ?? false)
    }

    var nextDeadline: MonotonicInstant? { checks.nextDeadline }

    // MARK: Events

    /// An authentic packet came from the peer: it consents to be sent to.
    mutating func heard(at now: MonotonicInstant) { lastHeard = now }

    /// For sessions without ICE (benches): `address` counts as validated.
    mutating func adopt(_ address: NetworkAddress, at now: MonotonicInstant) { addresses.adopt(address, at: now) }

    mutating func restart(local: ICECredentials, remote: ICECredentials, at now: MonotonicInstant) {
        previousLocal = self.local
        self.local = ICEKeys(local)
        self.remote = ICEKeys(remote)
        checks.restart(at: now)
    }

    mutating func receive(
        _ datagram: Span<UInt8>, from source: NetworkAddress, at now: MonotonicInstant, into out: inout Outbox,
        refusals: inout Counters<EdgeRefusal>
    ) -> ICEOutcome {
        guard let message = STUNMessage(datagram) else {
            refusals.add(.stunMalformed)
            return .none
        }
        guard message.fingerprintIsAcceptable else {
            refusals.add(.stunBadFingerprint)
            return .none
        }
        switch message.kind {
        case .request: return receiveRequest(message, from: source, at: now, into: &out, refusals: &refusals)
        case .success, .error: return receiveResponse(message, from: source, at: now, refusals: &refusals)
        case .indication:
            // A keep-alive (RFC 8445 §11): unauthenticated, so it proves nothing.
            refusals.add(.stunUnexpected)
            return .none
        }
    }

    /// Sends the checks that are due.
    mutating func advance(to now: MonotonicInstant, into out: inout Outbox) {
        guard role == .controlling else { return }
        while let target = checks.due(at: now, selected: addresses.selected, using: &generator) {
            sendCheck(target, into: &out)
        }
    }

    // MARK: Requests

    private mutating func receiveRequest(
        _ message: borrowing STUNMessage, from source: NetworkAddress, at now: MonotonicInstant,
        into out: inout Outbox, refusals: inout Counters<EdgeRefusal>
    ) -> ICEOutcome {
        guard let key = requestKey(message, refusals: &refusals) else { return .none }
        if message.unknownAttributeCount > 0 {
            refusals.add(.stunUnknownAttribute)
            let unknown = message.unknownAttributes
            let count = message.unknownAttributeCount
            sendError(STUN.unknownAttribute, message.transaction, to: source, key, into: &out) { writer in
                STUNWriter.appendUnknownAttributes(unknown, count: count, &writer)
            }
            return .none
        }
        // A lite agent is always controlled and cannot switch; our controlling agent talks to lite agents only.
        let conflicts = role == .lite ? message.iceControlled != nil : message.iceControlling != nil
        guard !conflicts else {
            refusals.add(.stunRoleConflict)
            sendError(STUN.roleConflict, message.transaction, to: source, key, into: &out) { _ in }
            return .none
        }
        let transaction = message.transaction
        out.append(to: source, capacity: STUNWriter.capacity) { writer in
            STUNWriter.begin(.success, transaction, &writer)
            STUNWriter.appendXORMappedAddress(source, transaction, &writer)
            STUNWriter.finish(key, &writer)
        }
        lastHeard = now
        return addresses.heard(source, isNominated: message.useCandidate, at: now)
    }

    /// The key of the credentials a request names, if it is authentic. A check with the new credentials ends the old.
    private mutating func requestKey(
        _ message: borrowing STUNMessage, refusals: inout Counters<EdgeRefusal>
    ) -> HMACSHA1Key? {
        guard let username = message.username, let fragment = Self.firstPart(of: username) else {
            refusals.add(.stunUnknownUsername)
            return nil
        }
        if local.fragment.span.elementsEqual(fragment) {
            guard message.verifyIntegrity(local.key) else {
                refusals.add(.stunUnauthenticated)
                return nil
            }
            previousLocal = nil
            return local.key
        }
        guard let old = previousLocal, old.fragment.span.elementsEqual(fragment) else {
            refusals.add(.stunUnknownUsername)
            return nil
        }
        guard message.verifyIntegrity(old.key) else {
            refusals.add(.stunUnauthenticated)
            return nil
        }
        return old.key
    }

    @_lifetime(copy username)
    private static func firstPart(of username: Span<UInt8>) -> Span<UInt8>? {
        for index in username.indices where username[index] == 0x3a { return username.extracting(0..<index) }
        return nil
    }

    private func sendError(
        _ code: UInt16, _ transaction: STUNTransactionID, to target: NetworkAddress, _ key: HMACSHA1Key,
        into out: inout Outbox, _ more: (inout ByteWriter) -> Void
    ) {
        out.append(to: target, capacity: STUNWriter.capacity) { writer in
            STUNWriter.begin(.error, transaction, &writer)
            STUNWriter.appendErrorCode(code, &writer)
            more(&writer)
            STUNWriter.finish(key, &writer)
        }
    }

    // MARK: Our own checks

    private mutating func receiveResponse(
        _ message: borrowing STUNMessage, from source: NetworkAddress, at now: MonotonicInstant,
        refusals: inout Counters<EdgeRefusal>
    ) -> ICEOutcome {
        // RFC 8445 §7.2.5.2.1: a response must come from where the request went.
        guard checks.isOutstanding(message.transaction, to: source) else {
            refusals.add(.stunUnmatchedResponse)
            return .none
        }
        guard message.verifyIntegrity(remote.key) else {
            refusals.add(.stunUnauthenticated)
            return .none
        }
        guard message.kind == .success else {
            // Consent is not renewed by an error; the check is sent again until the time-out ends the session.
            refusals.add(.stunErrorResponse)
            return .none
        }
        checks.succeeded(message.transaction, at: now, using: &generator)
        lastHeard = now
        return addresses.heard(source, isNominated: addresses.selected == nil, at: now)
    }

    private func sendCheck(_ check: ICECheckList.Due, into out: inout Outbox) {
        // PRIORITY of a peer-reflexive candidate (RFC 8445 §5.1.2.1): type preference 110, one interface, component 1.
        let priority: UInt32 = 110 << 24 | 0xffff << 8 | 255
        out.append(to: check.target, capacity: STUNWriter.capacity) { writer in
            STUNWriter.begin(.request, check.transaction, &writer)
            STUNWriter.appendUsername(remote.fragment.span, local.fragment.span, &writer)
            STUNWriter.append(.priority, priority, &writer)
            STUNWriter.append(.iceControlling, tieBreaker, &writer)
            STUNWriter.appendUseCandidate(&writer)
            STUNWriter.finish(remote.key, &writer)
        }
    }
}

/// One side's credentials, ready to use.
struct ICEKeys: Sendable {
    let fragment: [UInt8]
    let key: HMACSHA1Key

    init(_ credentials: ICECredentials) {
        fragment = Array(credentials.usernameFragment.utf8)
        key = HMACSHA1Key(credentials.password)
    }
}
