/// The program's version, as `mafalda version`, the banner and `/api/v1/node` tell it.
package enum MafaldaVersion {
    package static var text: String { "0.1.0" }
}
