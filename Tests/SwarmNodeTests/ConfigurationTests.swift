import SwarmCore
import SwarmCrypto
import SwarmNode
import Testing

struct ConfigurationTests {
    private static func flags(_ values: [Setting: [String]]) -> SettingLayer {
        values.reduce(into: [:]) { $0[$1.key] = SettingValues($1.value, .flag($1.key)) }
    }

    private static func load(
        flags: [Setting: [String]] = [:], environment: [String: String] = [:], file: String = ""
    ) throws(ConfigurationError) -> NodeConfiguration {
        let layers = SettingLayers(
            flags: Self.flags(flags), environment: SettingLayers.environment(environment),
            file: try ConfigurationFile.parse(file, path: "c.yaml"))
        return try NodeConfiguration(layers, processors: 2)
    }

    @Test func hasDefaults() throws {
        let configuration = try Self.load()
        #expect(configuration.http == ListenAddress(host: "127.0.0.1", port: 7780))
        #expect(configuration.port == 7788)
        #expect(configuration.workers == 2)
        #expect(configuration.swarmName == "home")
        #expect(configuration.maximumChildren == nil && configuration.join.isEmpty)
        #expect(!configuration.isOpen && !configuration.usesTokens)
        #expect(configuration.localURL(boundPort: 81) == "http://127.0.0.1:81")
    }

    @Test func flagBeatsEnvironmentBeatsFile() throws {
        let file = "port: 1000\nworkers: 3\nname: lab\n"
        let environment = ["MAFALDA_PORT": "2000", "MAFALDA_WORKERS": "4", "MAFALDA_NAME": "", "MAFALDA_PORT_TCP": "x"]
        let configuration = try Self.load(flags: [.port: ["3000"]], environment: environment, file: file)
        #expect(configuration.port == 3000)
        #expect(configuration.workers == 4)
        #expect(configuration.swarmName == "lab")
    }

    @Test func readsListsAndSwitches() throws {
        let file = """
            # a comment
            announce: [192.0.2.1, "2001:db8::1"]
            ice-server:
              - stun:a:1
              - turn:b:2;username=u;credential=c
            open: yes
            http: 0.0.0.0:80
            """
        let configuration = try Self.load(file: file)
        #expect(configuration.announce == ["192.0.2.1", "2001:db8::1"])
        #expect(configuration.iceServers.map(\.url) == ["stun:a:1", "turn:b:2"])
        #expect(configuration.isOpen)
        #expect(configuration.localURL(boundPort: 80) == "http://127.0.0.1:80")
        #expect(try Self.load(environment: ["MAFALDA_ANNOUNCE": "192.0.2.1,192.0.2.2"]).announce.count == 2)
    }

    @Test(arguments: [
        ("prot: 1", "c.yaml:1: unknown key 'prot'; did you mean 'port'?"),
        ("\n\nzebra: 1", "c.yaml:3: unknown key 'zebra'"),
        ("port: 70000", "c.yaml:1: port: expected a port, 0 to 65535, not '70000'"),
        ("name: a\nworkers: 0", "c.yaml:2: workers: expected a number from 1 to 64, not '0'"),
        ("port: [1, 2]", "c.yaml:1: port: expected one value"), ("- a", "c.yaml:1: expected \"key: value\" lines"),
        ("port: 1\nport: 2", "c.yaml: a key stands twice: port"),
        ("join: mfs1:AQ", "c.yaml:1: join: the join string ends too early"),
        ("http: example", "c.yaml:1: http: expected ADDRESS:PORT"),
        ("open: maybe", "c.yaml:1: open: expected true or false, not 'maybe'"),
        ("public-url: ftp://x", "c.yaml:1: public-url: expected an http://"),
        ("http: 0.0.0.0:80", "refusing to listen on 0.0.0.0:80 for everybody: add --tokens"),
        ("open: true\ntokens: true", "--open contradicts"), ("tls-cert: a", "--tls-cert and --tls-key go together"),
        ("port: 65535", "--port 65535 leaves no room"),
        ("announce: example.com", "c.yaml:1: announce: expected an IP address"),
        ("port: {a: 1}", "c.yaml:1: port: expected one value"), ("a: [", "c.yaml:"), ("port: \"\t", "c.yaml:"),
        ("max-children: -1", "c.yaml:1: max-children: expected a number from 0"),
    ])
    func namesWhatIsWrong(file: String, message: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.load(file: file) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "nothing")")
        #expect(error?.description.contains("\n") == false)
    }

    @Test func neverRepeatsAJoinString() throws {
        let error = #expect(throws: ConfigurationError.self) { try Self.load(flags: [.join: ["mfs1:SECRETSECRET"]]) }
        #expect(error?.description.contains("SECRET") == false)
    }

    @Test func acceptsPublicListeningWithTokens() throws {
        #expect(try Self.load(flags: [.http: ["[::]:80"], .tokens: ["true"]]).usesTokens)
        #expect(try Self.load(flags: [.http: ["0.0.0.0:80"], .tokenKey: ["k.pem"]]).usesTokens)
        #expect(try !Self.load(flags: [.http: ["localhost:80"]]).usesTokens)
    }

    @Test func printsWhatIsInForce() throws {
        let join = try #require(
            JoinString(
                secret: Bytes32(1, 2, 3, 4), peers: [.init(key: PublicKey(.zero), address: .loopback(port: 1))]))
        let layers = SettingLayers(
            flags: Self.flags([.port: ["0"], .join: [join.text]]),
            file: try ConfigurationFile.parse("name: lab", path: "c.yaml"))
        let configuration = try NodeConfiguration(layers, processors: 2)
        let text = PrintedConfiguration.render(configuration, layers)
        #expect(text.contains("port: 0 ") && text.contains("# --port\n"))
        #expect(text.contains("name: \"lab\"") && text.contains("# c.yaml:1\n"))
        #expect(text.contains("# join: hidden") && !text.contains(join.text))
        let again = try NodeConfiguration(
            SettingLayers(file: try ConfigurationFile.parse(text, path: "p")), processors: 8)
        #expect(again.port == 0 && again.workers == 2 && again.swarmName == "lab")
    }

    @Test func rendersTheBanner() throws {
        let id = NodeID(Bytes32(0x53cbf, 2, 3, 4))
        var banner = Banner(
            id: id, swarmName: "home", peers: 0, swarmPort: 7788, mediaPorts: [7789, 7790],
            url: "http://127.0.0.1:7780",
            joinString: "mfs1:abc")
        let text = banner.render(isTerminal: false)
        #expect(
            text == """
                mafalda-swarm 0.1.0  node \(id.short)   swarm "home"   peers 0
                  media  udp/7789 (2 workers: 7789-7790)     swarm  udp/7788
                  open     http://127.0.0.1:7780/            publish from the browser, watch, see the swarm
                  publish  http://127.0.0.1:7780/whip/demo   (OBS, GStreamer, FFmpeg)     play  http://127.0.0.1:7780/whep/demo
                  join     mafalda run --join mfs1:…         (run this on the next machine)

                """)
        #expect(banner.render(isTerminal: true).contains("--join mfs1:abc "))
        banner.mediaPorts = [40001, 39000]
        #expect(banner.render(isTerminal: false).contains("udp/40001 (2 workers: 40001, 39000)"))
        banner.mediaPorts = [7]
        #expect(banner.render(isTerminal: false).contains("udp/7 (1 worker) "))
    }
}
