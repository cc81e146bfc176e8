// Messages 10 to 16: entries of directories, at the server of the entry. Payload: the entry's name,
// without '/'.
#pragma once
#include <cstdint>

#include "base/types.hpp"
#include "wire/attributes.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

struct Lookup {
  static constexpr std::uint16_t kId = 10;
  static constexpr const char* kName = "lookup";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  struct Request {
    std::uint64_t parent;
  };
  struct Reply {
    std::uint64_t inode;
    std::uint32_t type;  ///< S_IFREG, S_IFDIR or S_IFLNK
    std::uint32_t
        attributes_here;  ///< 1: `attributes` is filled, the entry's server is the home too
    Attributes attributes;
  };
};
/// Creates a regular file, or finds the one that is there. The entry's server makes the inode, with
/// the entry's slot as its home slot. Error: is_directory, exists (with exclusive), not_found (with
/// !create), being_removed (ask again: the parent may be going), loop (it is a symbolic link, which
/// the caller has to follow).
struct Open {
  static constexpr std::uint16_t kId = 11;
  static constexpr const char* kName = "open";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kCreate = 1, kExclusive = 2, kTruncate = 4;
  struct Request {
    std::uint64_t parent;
    std::uint64_t chunk_bytes;  ///< of a new file; 0: the server's default
    std::uint32_t mode;
    std::uint32_t flags;
  };
  struct Reply {
    Attributes attributes;
    std::uint32_t created;
    std::uint32_t attributes_here;  ///< 0: only `inode` is filled, ask its home (after a rename)
  };
};
/// With a quota (0: none of its own) the directory counts for that, and what is made below it.
struct Mkdir {
  static constexpr std::uint16_t kId = 12;
  static constexpr const char* kName = "mkdir";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  struct Request {
    std::uint64_t parent;
    std::uint32_t mode;
    std::uint32_t quota;
  };
  struct Reply {
    Attributes attributes;
  };
};
/// Removes the entry of a file or symbolic link and, with its last link, the inode and its data on
/// every server.
struct Unlink {
  static constexpr std::uint16_t kId = 13;
  static constexpr const char* kName = "unlink";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  struct Request {
    std::uint64_t parent;
  };
  using Reply = Empty;
};

/// Entries of a directory that this server has, in the order of their names' bytes, from the first
/// one after the name in the payload on (no payload: from the start). An entry that exists all the
/// while is told once, whatever else comes and goes. Reply payload: the entries, each a
/// DirectoryEntry, its attributes if they are here and wanted, its name, and zeros up to a multiple
/// of 8 bytes.
struct ReadDirectory {
  static constexpr std::uint16_t kId = 14;
  static constexpr const char* kName = "read_directory";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kAttributes = 1;
  struct Request {
    std::uint64_t parent;
    std::uint32_t bytes_max;  ///< of the reply's payload, at least kDirectoryEntryMax
    std::uint32_t flags;
  };
  struct Reply {
    std::uint32_t entries;
    std::uint32_t bytes;  ///< of the payload
    std::uint32_t more;   ///< 1: go on after the last name; 0: there are no more here
    std::uint32_t zero;
  };
};
struct DirectoryEntry {
  std::uint64_t inode;
  std::uint32_t type;
  std::uint16_t name_bytes;
  std::uint16_t attributes_here;  ///< 1: Attributes follow, then the name; 0: the name follows
};
static_assert(sizeof(DirectoryEntry) == 16);
inline constexpr std::uint32_t kDirectoryEntryMax =
    sizeof(DirectoryEntry) + sizeof(Attributes) + 256;
inline constexpr std::uint32_t kDirectoryPageMax = 64u << 10;

/// Removes an empty directory. The server of its entry has all servers refuse new entries below it
/// (MarkDirectory) before it decides. Error: not_directory, not_empty, unreachable (of any server).
struct Rmdir {
  static constexpr std::uint16_t kId = 15;
  static constexpr const char* kName = "rmdir";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  struct Request {
    std::uint64_t parent;
  };
  using Reply = Empty;
};
/// Makes a symbolic link. Payload: the entry's name, then the link's target.
struct Symlink {
  static constexpr std::uint16_t kId = 16;
  static constexpr const char* kName = "symlink";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax + kTargetBytesMax;
  struct Request {
    std::uint64_t parent;
    std::uint32_t name_bytes;
    std::uint32_t zero;
  };
  struct Reply {
    Attributes attributes;
  };
};

}  // namespace benchfs::wire
