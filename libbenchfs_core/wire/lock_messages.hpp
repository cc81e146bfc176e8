// Messages 60 to 69: locks and shared file pointers, at the inode's home.
#pragma once
#include <cstdint>

#include "wire/header.hpp"

namespace benchfs::wire {

/// Asks for a byte-range lock of the file; the reply comes when it is granted, or with timed_out
/// shortly before the request's deadline. Fair: conflicting requests are granted in the order they
/// came. The lock ends with unlock or with the session.
struct Lock {
  static constexpr bool kWaits = true;  ///< for other callers: not counted against the credits
  static constexpr std::uint16_t kId = 60;
  static constexpr const char* kName = "lock";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kShared = 1, kExclusive = 2;
  struct Request {
    std::uint64_t inode;
    std::uint64_t token;        ///< chosen by the caller, unique in its session
    std::uint64_t first, last;  ///< bytes, both included
    std::uint32_t mode;
    std::uint32_t zero;
  };
  using Reply = Empty;
};
/// Gives a lock back, or ends the wait for it. No error if there is none.
struct Unlock {
  static constexpr std::uint16_t kId = 61;
  static constexpr const char* kName = "unlock";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
    std::uint64_t token;
  };
  using Reply = Empty;
};
/// The shared file pointer `key` of a file: fetch-and-add, set, or forget. It is 0 until it is
/// changed, and goes with the file. Reply: its value before.
struct SharedPointer {
  static constexpr std::uint16_t kId = 62;
  static constexpr const char* kName = "shared_pointer";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kAdd = 1, kSet = 2, kForget = 3;
  struct Request {
    std::uint64_t inode;
    std::uint64_t key;   ///< random, of one collective open
    std::int64_t value;  ///< added or set
    std::uint32_t operation;
    std::uint32_t zero;
  };
  struct Reply {
    std::int64_t before;
  };
};

/// Like lock, but answered at once: granted, or what stands in the way (a lock that is held if
/// there is one, else one that is waited for). With kTest nothing is locked, and `granted` says
/// whether it could be.
struct TryLock {
  static constexpr std::uint16_t kId = 63;
  static constexpr const char* kName = "try_lock";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kTest = 1;
  struct Request {
    std::uint64_t inode;
    std::uint64_t token;
    std::uint64_t first, last;
    std::uint32_t mode;
    std::uint32_t flags;
  };
  struct Reply {
    std::uint32_t granted;
    std::uint32_t mode;  ///< this and the rest: of what stands in the way
    std::uint64_t first, last;
    std::uint64_t host_id;  ///< as its session's hello had it
    std::int64_t pid;
  };
};

}  // namespace benchfs::wire
