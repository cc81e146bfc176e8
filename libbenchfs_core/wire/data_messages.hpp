// Messages 50 to 59: data, at the server of the chunks.
#pragma once
#include <cstdint>

#include "wire/header.hpp"

namespace benchfs::wire {

/// One piece of a list read or write. Follows the body, in front of the data of a write.
struct Piece {
  std::uint64_t offset;  ///< in the file; a piece never crosses a chunk boundary
  std::uint32_t bytes;   ///< at least 1
  std::uint32_t zero;
};
static_assert(sizeof(Piece) == 16);

inline constexpr std::uint32_t kPiecesMax = 65536;
/// Data bytes of one message, at most (config `rpc_bytes_max`).
inline constexpr std::uint32_t kDataMax = 16u << 20;

/// Reads pieces of chunks that this server owns. pieces == 0: one piece, (offset, bytes). Else the
/// request's payload is a table of `pieces` Piece, `bytes` their total. Reply payload: the data of
/// the pieces, packed; of one piece only what exists, of a list all, with zeros where the local
/// data ends. A home that had less than was asked for tells the file's size with it.
struct Read {
  static constexpr std::uint16_t kId = 50;
  static constexpr const char* kName = "read";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kPiecesMax * sizeof(Piece);
  struct Request {
    std::uint64_t inode;
    std::uint64_t offset;
    std::uint32_t bytes;
    std::uint32_t pieces;
    std::uint32_t chunk_shift;  ///< log2 of the file's chunk size
    std::uint32_t zero;
  };
  struct Reply {
    /// If a piece met less data than it asked for: the file offset at and beyond which none met
    /// any. Else ~0.
    std::uint64_t data_end;
    std::uint32_t bytes;      ///< of the payload
    std::uint32_t size_here;  ///< 1: `size` is filled, as it was after the data were read
    std::uint64_t size;       ///< of the file
  };
};
/// Writes pieces of chunks that this server owns. Payload: the table (pieces > 0), then the data,
/// packed. With kMergeSize the home then merges the end of what it wrote into the file's size, as
/// SetSize::kMerge does: a small file needs no message of its own for it.
struct Write {
  static constexpr std::uint16_t kId = 51;
  static constexpr const char* kName = "write";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kDataMax + kPiecesMax * sizeof(Piece);
  static constexpr std::uint32_t kMergeSize = 1;
  struct Request {
    std::uint64_t inode;
    std::uint64_t offset;
    std::uint32_t bytes;
    std::uint32_t pieces;
    std::uint32_t chunk_shift;
    std::uint32_t flags;
  };
  struct Reply {
    std::uint32_t bytes;
    std::uint32_t merged;  ///< 1: the home knows of the size
  };
};
/// The data of the file (inode 0: of all files) that this server holds, and with kMetadata its log
/// too, are on the device when the reply comes.
struct Sync {
  static constexpr std::uint16_t kId = 52;
  static constexpr const char* kName = "sync";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kData = 1, kMetadata = 2;
  struct Request {
    std::uint64_t inode;
    std::uint32_t flags;
    std::uint32_t zero;
  };
  using Reply = Empty;
};
/// From a file's home to every server: data at and beyond `size` goes; with `remove` all of it.
struct DropData {
  static constexpr std::uint16_t kId = 53;
  static constexpr const char* kName = "drop_data";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
    std::uint64_t size;
    std::uint32_t remove;
    std::uint32_t zero;
  };
  using Reply = Empty;
};
/// The caller is about to write beyond chunk 0: from now on the home tells every server when the
/// file is removed or shortened. Sent once per open file, together with that first write.
struct MarkSpread {
  static constexpr std::uint16_t kId = 54;
  static constexpr const char* kName = "mark_spread";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    std::uint64_t inode;
  };
  using Reply = Empty;
};

/// Storage for the chunks of a range that this server owns; the file's size stays. check: whether
/// there is enough of it, as far as can be known; nothing changes. allocate: set aside, contents as
/// they are. zero: the same, contents zeros. punch: given back, contents zeros. Of allocate and
/// zero the range has at most kAllocateChunksMax chunks. Error: no_space, not_supported (the
/// storage cannot do it), too_big.
struct Allocate {
  static constexpr std::uint16_t kId = 55;
  static constexpr const char* kName = "allocate";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kCheck = 1, kAllocate = 2, kZero = 3, kPunch = 4;
  struct Request {
    std::uint64_t inode;
    std::uint64_t offset, bytes;  ///< at least 1 byte
    std::uint32_t chunk_shift;
    std::uint32_t operation;
  };
  using Reply = Empty;
};
inline constexpr std::uint64_t kAllocateChunksMax = 65536;

/// The first byte of data, or of a hole, in the chunks of [offset, limit) that this server owns.
struct Seek {
  static constexpr std::uint16_t kId = 56;
  static constexpr const char* kName = "seek";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  static constexpr std::uint32_t kData = 1, kHole = 2;
  struct Request {
    std::uint64_t inode;
    std::uint64_t offset, limit;  ///< offset < limit
    std::uint32_t chunk_shift;
    std::uint32_t what;
  };
  struct Reply {
    std::uint64_t offset;
    std::uint32_t found;  ///< 0: there is none before `offset`, where the search has ended
    std::uint32_t zero;
  };
};

}  // namespace benchfs::wire
