// How renames and links reach the other servers that have a part in them. Private to metadata/ and
// its wiring.
#pragma once
#include <cstdint>
#include <string_view>

#include "base/status.hpp"
#include "base/types.hpp"
#include "loop/task.hpp"
#include "wire/messages.hpp"

namespace benchfs {

/// Implemented over net/ where the server is wired (one message each), and by the tests. Each call
/// ends within the deadline of calls between servers; an error leaves open whether it was carried
/// out.
class MovePeers {
 public:
  virtual ~MovePeers() = default;
  virtual Task<Result<wire::PlaceEntry::Reply>> place_entry(ServerIndex server,
                                                            wire::PlaceEntry::Request request,
                                                            std::string_view name) = 0;
  virtual Task<Status> drop_link(ServerIndex server, InodeId inode, std::uint64_t token) = 0;
  virtual Task<Status> forget_token(ServerIndex server, std::uint64_t token) = 0;
  virtual Task<Result<std::uint64_t>> move_gate(ServerIndex server,
                                                wire::MoveGate::Request request) = 0;
};

}  // namespace benchfs
