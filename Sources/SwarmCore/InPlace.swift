/// Without size or content: a large noncopyable value that has one is always used where it lies.
///
/// The compiler lends a struct to a method that only reads it as it would lend a word: it may copy it to the stack first.
/// For a table of a thousand bytes that is sixteen cache lines to be waited for where one would have done, at every
/// question. A value that might change when it moves, as memory of unknown content might, is lent by its address.
@_rawLayout(size: 0, alignment: 1)
package struct InPlace: ~Copyable {
    package init() {}
}

// Unchecked because of what is in raw memory the compiler knows nothing. There is none here: no byte that two threads could
// share, so that nothing about a value that has one is less safe to send than without it.
extension InPlace: @unchecked Sendable {}
