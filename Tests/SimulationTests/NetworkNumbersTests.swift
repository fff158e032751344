import Foundation
import Simulations
import Testing

/// Our own elementary functions against libm's.
@Suite struct NetworkNumbersTests {
    @Test func exponentialsAndLogarithms() {
        for step in -400...400 {
            let x = Double(step) * 0.173
            #expect(abs(Elementary.exponential(x) / Foundation.exp(x) - 1) < 1e-13)
            let y = Foundation.exp(x)
            #expect(abs(Elementary.logarithm(y) - x) < 1e-13 * (1 + abs(x)))
        }
        #expect(Elementary.exponential(0) == 1 && Elementary.logarithm(1) == 0)
        #expect(abs(Elementary.power(3, -0.9) - Foundation.pow(3, -0.9)) < 1e-14)
    }

    @Test func normalQuantiles() {
        let quantiles = Elementary.normalQuantiles(4_096)
        #expect(quantiles.count == 4_096)
        for index in stride(from: 0, to: 4_096, by: 7) {
            let probability = 0.5 * Foundation.erfc(-quantiles[index] / 2.0.squareRoot())
            #expect(abs(probability - (Double(index) + 0.5) / 4_096) < 1e-7)
            #expect(quantiles[index] == -quantiles[4_095 - index])
        }
    }

    @Test func exponentialQuantiles() {
        let quantiles = Elementary.exponentialQuantiles(1_000)
        #expect(abs(quantiles[499] - -Foundation.log(1 - 0.4995)) < 1e-13)
        #expect(abs(quantiles.reduce(0, +) / 1_000 - 1) < 1e-3)
    }
}
