// Messages 30 to 49: inodes, at their home.
#pragma once
#include <cstdint>

#include "base/types.hpp"
#include "wire/attributes.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

struct GetAttributes {
  static constexpr std::uint16_t kId = 30;
  static constexpr const char* kName = "get_attributes";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
  };
  struct Reply {
    Attributes attributes;
  };
};
/// merge: size = max(size, given), as every writer does at sync and close. extend: the same, asked
/// for by the user (preallocate). truncate: exactly that size; data beyond it is dropped on every
/// server.
struct SetSize {
  static constexpr std::uint16_t kId = 31;
  static constexpr const char* kName = "set_size";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kMerge = 1, kExtend = 2, kTruncate = 3;
  struct Request {
    std::uint64_t inode;
    std::uint64_t size;
    std::uint32_t operation;
    std::uint32_t zero;
  };
  struct Reply {
    Attributes attributes;
  };
};

/// Changes the attributes that `which` names, and marks the change time.
struct SetAttributes {
  static constexpr std::uint16_t kId = 32;
  static constexpr const char* kName = "set_attributes";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kMode = 1, kUid = 2, kGid = 4, kAtime = 8, kMtime = 16;
  static constexpr std::uint32_t kAtimeNow = 32, kMtimeNow = 64;  ///< by the server's clock
  struct Request {
    std::uint64_t inode;
    std::uint32_t which;
    std::uint32_t mode;  ///< permissions alone
    std::uint32_t uid, gid;
    std::int64_t atime_ns, mtime_ns;
  };
  struct Reply {
    Attributes attributes;
  };
};
/// Reply payload: the target of a symbolic link. Error: invalid if the inode is none.
struct ReadLink {
  static constexpr std::uint16_t kId = 33;
  static constexpr const char* kName = "read_link";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
  };
  struct Reply {
    std::uint32_t bytes;
    std::uint32_t zero;
  };
};
/// From the server of a directory's entry to every server, while it removes the directory. close:
/// no new entries below it from now on, until the mark is ended by release (it stays) or removed
/// (it is gone). Error: not_empty, being_removed (by another removal), canceled (its release was
/// faster).
struct MarkDirectory {
  static constexpr std::uint16_t kId = 34;
  static constexpr const char* kName = "mark_directory";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kClose = 1, kRelease = 2, kRemoved = 3;
  struct Request {
    std::uint64_t inode;
    std::uint64_t token;  ///< random, of one removal
    std::uint32_t operation;
    std::uint32_t zero;
  };
  using Reply = Empty;
};

/// Makes the file `bytes` longer and gives these bytes to the caller, which writes them next: of
/// callers that append at the same time each has a place of its own. Reply: where they begin.
struct Append {
  static constexpr std::uint16_t kId = 35;
  static constexpr const char* kName = "append";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
    std::uint64_t bytes;  ///< at least 1
  };
  struct Reply {
    std::uint64_t offset;
  };
};
/// Payload: the attribute's name. Reply payload: its value, if it is at most `bytes_max` long.
/// Error: no_data, range (it is longer, and bytes_max is not 0, which asks for the length alone).
struct GetXattr {
  static constexpr std::uint16_t kId = 40;
  static constexpr const char* kName = "get_xattr";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kXattrNameBytesMax;
  struct Request {
    std::uint64_t inode;
    std::uint32_t bytes_max;
    std::uint32_t zero;
  };
  struct Reply {
    std::uint32_t bytes;  ///< of the value
    std::uint32_t zero;
  };
};
/// Payload: the attribute's name, then its value. Error: exists (with create), no_data (with
/// replace), not_permitted (a symbolic link), xattrs_full.
struct SetXattr {
  static constexpr std::uint16_t kId = 41;
  static constexpr const char* kName = "set_xattr";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kXattrNameBytesMax + kXattrValueBytesMax;
  static constexpr std::uint32_t kCreate = 1, kReplace = 2;
  struct Request {
    std::uint64_t inode;
    std::uint32_t name_bytes;
    std::uint32_t flags;
  };
  using Reply = Empty;
};
/// Reply payload: the names of all attributes with a zero byte after each, if they are at most
/// `bytes_max` together. Error: range, as of GetXattr.
struct ListXattrs {
  static constexpr std::uint16_t kId = 42;
  static constexpr const char* kName = "list_xattrs";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
    std::uint32_t bytes_max;
    std::uint32_t zero;
  };
  struct Reply {
    std::uint32_t bytes;
    std::uint32_t zero;
  };
};
/// Payload: the attribute's name. Error: no_data.
struct RemoveXattr {
  static constexpr std::uint16_t kId = 43;
  static constexpr const char* kName = "remove_xattr";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kXattrNameBytesMax;
  struct Request {
    std::uint64_t inode;
  };
  using Reply = Empty;
};

}  // namespace benchfs::wire
