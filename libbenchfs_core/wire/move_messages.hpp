// Messages 17 to 22: renames and links, of clients and between servers.
#pragma once
#include <cstdint>

#include "base/types.hpp"
#include "wire/attributes.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

/// Renames an entry of this server, of any type, to any other place. Payload: its name, then the
/// new one. What has the new name is replaced in one step, if it is of the same kind (a directory:
/// if it is empty). Error: exists (with no_replace), is_directory, not_directory, not_empty,
/// not_found (the entry, the new parent, or with exchange the other entry), being_removed (ask
/// again: something else is being done with one of the two), stale (a directory's way up has to be
/// looked at again, see MoveGate).
struct Rename {
  static constexpr std::uint16_t kId = 17;
  static constexpr const char* kName = "rename";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 2 * kNameBytesMax;
  static constexpr std::uint32_t kNoReplace = 1, kExchange = 2;
  struct Request {
    std::uint64_t parent;
    std::uint64_t new_parent;
    /// What the gate had counted before the caller saw that no directory gets below itself; 0: no
    /// directory gets another parent.
    std::uint64_t moves;
    std::uint32_t name_bytes;
    std::uint32_t flags;
  };
  using Reply = Empty;
};
/// Gives an inode of this server one more entry. Payload: its name. Error: not_found (the inode,
/// the parent), not_permitted (a directory), exists, being_removed (ask again).
struct Link {
  static constexpr std::uint16_t kId = 18;
  static constexpr const char* kName = "link";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  struct Request {
    std::uint64_t inode;
    std::uint64_t parent;
  };
  struct Reply {
    Attributes attributes;
  };
};
/// From the server that leads a rename or link to that of the new name: puts the entry there, or
/// says why not. Every repetition of the same token gets the first answer, until it is forgotten.
struct PlaceEntry {
  static constexpr std::uint16_t kId = 19;
  static constexpr const char* kName = "place_entry";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kNoReplace = 1, kExchange = 2, kMovesDirectories = 4;
  /// The outcome: placed; refused, with the reason; or nothing to do, as that is the entry already.
  static constexpr std::uint32_t kPlaced = 1, kRefused = 2, kSame = 3;
  struct Request {
    std::uint64_t token;  ///< random, of one rename or link
    std::uint64_t parent;
    std::uint64_t inode;
    std::uint32_t type;
    std::uint32_t flags;
  };
  struct Reply {
    std::uint64_t inode;  ///< of the entry that was there, with exchange; else 0
    std::uint32_t type;
    std::uint32_t outcome;
    std::uint32_t reason;  ///< of a refusal: an error's wire value
    std::uint32_t zero;
  };
};
/// From the server of an entry that is gone to the home of its inode, which goes with its last
/// entry. Repetitions of the same token do nothing, until it is forgotten.
struct DropLink {
  static constexpr std::uint16_t kId = 20;
  static constexpr const char* kName = "drop_link";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
    std::uint64_t token;  ///< random, of one removal
  };
  using Reply = Empty;
};
/// From the server that sent PlaceEntry or DropLink: it will not repeat that token.
struct ForgetToken {
  static constexpr std::uint16_t kId = 21;
  static constexpr const char* kName = "forget_token";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t token;
  };
  using Reply = Empty;
};
/// At the home of the root: the gate through which directories go, one at a time, that get another
/// parent. read (a client's, before it looks at the way up): error busy while one is under way.
/// begin, end: of the server that leads the rename. Error of begin: stale (others went through
/// since `moves` was read), busy, canceled (it was ended before).
struct MoveGate {
  static constexpr std::uint16_t kId = 22;
  static constexpr const char* kName = "move_gate";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kRead = 1, kBegin = 2, kEnd = 3;
  struct Request {
    std::uint64_t token;
    std::uint64_t moves;
    std::uint32_t operation;
    std::uint32_t zero;
  };
  struct Reply {
    std::uint64_t moves;  ///< never 0
  };
};

}  // namespace benchfs::wire
