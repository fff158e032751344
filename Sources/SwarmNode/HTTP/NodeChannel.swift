import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes
import NIOSSL

/// One accepted connection: TLS where configured, HTTP/1.1 with the bounds of `HTTPLimits`.
struct NodeChannel: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    private let base: HTTP1Channel
    private let tls: TLSFiles?
    private let gate = ConnectionGate()

    init(tls: TLSFiles?, responder: @escaping HTTPChannelHandler.Responder) {
        var configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [ContinueHandler()], idleTimeout: .seconds(HTTPLimits.idleSeconds))
        configuration.httpDecoder = .init(
            maxHeaderFieldSize: HTTPLimits.headerFieldBytes, maxHeaderListSize: HTTPLimits.headerListBytes,
            maxHeaderFieldCount: HTTPLimits.headerFieldCount)
        base = HTTP1Channel(responder: responder, configuration: configuration)
        self.tls = tls
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        guard gate.admit(channel) else {
            channel.close(promise: nil)
            return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
        }
        // A peer that neither reads nor answers for this long is gone; TCP alone would keep it for a quarter of an
        // hour, or for ever while its window is closed (Linux tcp(7), TCP_USER_TIMEOUT = 18, in milliseconds).
        let userTimeout = ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: 18))
        return channel.setOption(userTimeout, value: 30_000).flatMapThrowing {
            guard let tls else { return }
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
        }.flatMap {
            base.setup(channel: channel, logger: logger)
        }.flatMapErrorThrowing { error in
            // NIO leaves a connection whose setup failed to whoever set it up.
            channel.close(promise: nil)
            throw error
        }
    }

    func handle(value: Value, logger: Logger) async {
        await base.handle(value: value, logger: logger)
    }
}

/// Answers `Expect: 100-continue` (RFC 9110 §10.1.1), which some clients wait a second for.
private final class ContinueHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundOut = HTTPResponsePart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .head(let head) = unwrapInboundIn(data), head.headerFields[.expect]?.lowercased() == "100-continue" {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponse(status: .continue))), promise: nil)
        }
        context.fireChannelRead(data)
    }
}
