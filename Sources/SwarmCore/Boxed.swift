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

/// A value that most of its owners do not have: a pointer where there is none, a block of the heap where there is one.
///
/// What `Boxed?` would be, if one could look into a noncopyable optional without taking it apart.
@usableFromInline
@safe package struct OptionalBox<Value: ~Copyable>: ~Copyable {
    @usableFromInline var pointer: UnsafeMutablePointer<Value>?

    /// Empty.
    @inlinable
    package init() { unsafe pointer = nil }

    @inlinable
    deinit {
        guard let pointer = unsafe pointer else { return }
        unsafe pointer.deinitialize(count: 1)
        unsafe pointer.deallocate()
    }

    @inlinable
    package var isPresent: Bool { unsafe pointer != nil }

    /// Puts `value` where none was or in the place of the one before.
    @inlinable
    package mutating func set(_ value: consuming Value) {
        clear()
        let block = UnsafeMutablePointer<Value>.allocate(capacity: 1)
        unsafe block.initialize(to: value)
        unsafe pointer = block
    }

    /// Ends the value, if there is one, and frees its block.
    @inlinable
    package mutating func clear() {
        guard let block = unsafe pointer else { return }
        unsafe pointer = nil
        unsafe block.deinitialize(count: 1)
        unsafe block.deallocate()
    }

    /// The value that is present; an absent one traps.
    @inlinable
    package var value: Value {
        unsafeAddress {
            guard let pointer = unsafe pointer else { preconditionFailure("an empty box was read") }
            return unsafe UnsafePointer(pointer)
        }
        unsafeMutableAddress {
            guard let pointer = unsafe pointer else { preconditionFailure("an empty box was changed") }
            return unsafe pointer
        }
    }
}

// One owner; the pointer never escapes.
extension OptionalBox: @unchecked Sendable where Value: Sendable & ~Copyable {}
