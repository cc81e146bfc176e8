// The list of all messages of the protocol, each declared once: server dispatch, client stubs,
// names for logs, codec tests, fuzzers and docs/wire.md walk it. Ids are never reused.
#pragma once
#include <cstddef>
#include <cstdint>

#include "wire/admin_messages.hpp"
#include "wire/check_messages.hpp"
#include "wire/data_messages.hpp"
#include "wire/find_messages.hpp"
#include "wire/header.hpp"
#include "wire/inode_messages.hpp"
#include "wire/lock_messages.hpp"
#include "wire/move_messages.hpp"
#include "wire/namespace_messages.hpp"
#include "wire/open_messages.hpp"
#include "wire/session_messages.hpp"

namespace benchfs::wire {

// A line for each kind.
// clang-format off
using All = List<
    Hello, Authenticate, Goodbye,
    Lookup, Open, Mkdir, Unlink, ReadDirectory, Rmdir, Symlink,
    Rename, Link, PlaceEntry, DropLink, ForgetToken, MoveGate,
    GetAttributes, SetSize, SetAttributes, ReadLink, MarkDirectory, Append,
    GetXattr, SetXattr, ListXattrs, RemoveXattr,
    Read, Write, Sync, DropData, MarkSpread, Allocate, Seek,
    Lock, Unlock, SharedPointer, TryLock,
    ServerStatus, ServerSpace,
    Scan, Repair,
    Hold, Release,
    FindEntries>;
// clang-format on

/// Bytes of the largest request or reply body.
inline constexpr std::size_t kBodyMax = [] {
  std::size_t most = 0;
  All::for_each([&]<class M>() {
    if (sizeof(typename M::Request) > most) most = sizeof(typename M::Request);
    if (sizeof(typename M::Reply) > most) most = sizeof(typename M::Reply);
  });
  return most;
}();

constexpr const char* message_name(std::uint16_t id) {
  const char* name = "unknown";
  All::for_each([&]<class M>() {
    if (M::kId == id) name = M::kName;
  });
  return name;
}

}  // namespace benchfs::wire
