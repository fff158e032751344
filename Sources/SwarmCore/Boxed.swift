/// A value at an address of its own, allocated once and freed once.
///
/// For a large noncopyable value that is optional: optional chaining moves the value out and back around each call, and
/// through a box it moves one word.
@usableFromInline
@safe package struct Boxed<Value: ~Copyable>: ~Copyable {
    @usableFromInline let pointer: UnsafeMutablePointer<Value>

    @inlinable
    package init(_ value: consuming Value) {
        unsafe pointer = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        unsafe pointer.initialize(to: value)
    }

    @inlinable
    deinit {
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    @inlinable
    package var value: Value {
        unsafeAddress { unsafe UnsafePointer(pointer) }
        unsafeMutableAddress { unsafe pointer }
    }
}

extension Boxed: @unchecked Sendable where Value: Sendable & ~Copyable {}  // One owner; the pointer never escapes.
