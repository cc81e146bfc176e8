// Every message of the protocol, declared once: server dispatch, client stubs, names for logs,
// codec tests, fuzzers and docs/wire.md all walk the list at the end. Ids are never reused.
#pragma once
#include <array>
#include <cstdint>

#include "base/types.hpp"
#include "wire/header.hpp"

namespace benchfs::wire {

using Nonce = std::array<std::uint8_t, 16>;
using Proof = std::array<std::uint8_t, 32>;  ///< HMAC-SHA256

/// Attributes of an inode.
struct Attributes {
  std::uint64_t inode;
  std::uint64_t size;
  std::uint64_t chunk_bytes;
  std::uint32_t mode, nlink, uid, gid;
  std::int64_t atime_ns, mtime_ns, ctime_ns;
};
static_assert(sizeof(Attributes) == 64);

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
inline constexpr std::uint32_t kAddressMax = 4096;

// ---- sessions (1 to 9) ----

/// Opens a session. Payload: the caller's ucp worker address. The only message served without one.
/// The proof is checked before the address is looked at: HMAC(secret, "hello", nonce, cluster id,
/// instance of the server, address).
struct Hello {
  static constexpr std::uint16_t kId = 1;
  static constexpr const char* kName = "hello";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kAddressMax;
  struct Request {
    std::uint64_t cluster_id;
    Nonce nonce;
    Proof proof;
    std::uint64_t host_id;  ///< hash of the host's boot id, to tell neighbours
    std::int64_t pid;
  };
  struct Reply {
    std::uint64_t session;
    Nonce nonce;
    Proof proof;  ///< of the server: HMAC(secret, "server", both nonces, cluster id)
  };
};
/// Proves that the caller has the job's secret; the session serves other messages from here on.
struct Authenticate {
  static constexpr std::uint16_t kId = 2;
  static constexpr const char* kName = "authenticate";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  struct Request {
    Proof proof;  ///< HMAC(secret, "client", both nonces, cluster id)
  };
  struct Reply {
    std::uint64_t default_chunk_bytes;
    std::uint32_t rpc_bytes_max;  ///< data bytes that this server takes in one message
    std::uint32_t zero;
  };
};
/// Closes the session; the server forgets it once the reply is sent.
struct Goodbye {
  static constexpr std::uint16_t kId = 3;
  static constexpr const char* kName = "goodbye";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  using Request = Empty;
  using Reply = Empty;
};

// ---- namespace (10 to 29). Payload: the entry's name, without '/' ----

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
struct Mkdir {
  static constexpr std::uint16_t kId = 12;
  static constexpr const char* kName = "mkdir";
  static constexpr bool kIdempotent = false;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  struct Request {
    std::uint64_t parent;
    std::uint32_t mode;
    std::uint32_t zero;
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

// ---- inodes, at their home (30 to 49) ----

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

// ---- data (50 to 69) ----

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

// ---- coordination, at the inode's home (60 to 69) ----

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

// ---- administration (70 to 79) ----

struct ServerStatus {
  static constexpr std::uint16_t kId = 70;
  static constexpr const char* kName = "server_status";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  using Request = Empty;
  struct Reply {
    std::uint64_t epoch, uptime_ms, files, stored_bytes, capacity_bytes, free_bytes, sessions,
        requests, read_bytes, written_bytes;
  };
};

/// The storage of a server, and what it may take of it.
struct ServerSpace {
  static constexpr std::uint16_t kId = 71;
  static constexpr const char* kName = "server_space";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = 0;
  using Request = Empty;
  struct Reply {
    std::uint64_t device;  ///< tells the file systems of one host apart: servers may share one
    std::uint64_t block_bytes;
    std::uint64_t device_bytes;      ///< size of the file system under the data directory
    std::uint64_t device_free;       ///< bytes of it that nobody uses
    std::uint64_t device_available;  ///< bytes of those that this server's user may take
    std::uint64_t device_files;      ///< that can still be made on it; ~0: it has no limit
    std::uint64_t limit_bytes;    ///< most file data that the server takes; 0: no limit of its own
    std::uint64_t reserve_bytes;  ///< of what is available, kept from file data
    std::uint64_t stored_bytes;   ///< allocated by file data
    std::uint64_t room_bytes;     ///< that file data may still take
    std::uint64_t files;          ///< inodes whose home it is
  };
};

/// For a check of the whole file system (docs/adr/0016-fsck.md): a page of what this server has on
/// its disk, from the first record after the given one on; of kIntents the inodes that are part of
/// a change which is not finished. With `exact` the record of that key alone, as it is now, or
/// none. Payload: the entry's name. Reply payload: records.
struct Scan {
  static constexpr std::uint16_t kId = 72;
  static constexpr const char* kName = "scan";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kEntries = 1, kInodes = 2, kData = 3, kIntents = 4;
  struct Request {
    std::uint64_t after;  ///< an inode (of an entry: its parent); 0: from the start
    std::uint32_t kind;
    std::uint32_t bytes_max;  ///< of the reply's payload, at least kScanRecordMax
    std::uint32_t exact;
    std::uint32_t zero;
  };
  struct Reply {
    std::uint64_t changes;  ///< renames and links that began or ended here since the server started
    std::uint32_t records;
    std::uint32_t bytes;  ///< of the payload
    std::uint32_t more;   ///< 1: go on after the last record
    std::uint32_t zero;
  };
};
/// Its name follows, and zeros up to a multiple of 8 bytes.
struct ScannedEntry {
  std::uint64_t parent, inode;
  std::uint32_t type;
  std::uint32_t name_bytes;
};
struct ScannedInode {
  std::uint64_t inode;
  std::int64_t ctime_ns;
  std::uint32_t mode, nlink;
};
/// A file of which this server has data; in an order of its own.
struct ScannedData {
  std::uint64_t inode;
  std::uint64_t bytes;  ///< allocated by it; told with `exact` alone
};
static_assert(sizeof(ScannedEntry) == 24 && sizeof(ScannedInode) == 24 &&
              sizeof(ScannedData) == 16);
inline constexpr std::uint32_t kScanRecordMax = sizeof(ScannedEntry) + 256;
inline constexpr std::uint32_t kScanPageMax = 1u << 20;

/// A repair by such a check; no other counts or entries change with it. set_links: of an inode of
/// this server, if it has `links_before`. put_entry: an entry of this server, where there is none
/// or one of the same inode. remove_entry: if it is of that inode, on any server. Payload: the
/// name. Error: stale (it is not as the caller has seen it), exists, being_removed.
struct Repair {
  static constexpr std::uint16_t kId = 73;
  static constexpr const char* kName = "repair";
  static constexpr bool kIdempotent = true;
  static constexpr std::uint32_t kPayloadMax = kNameBytesMax;
  static constexpr std::uint32_t kSetLinks = 1, kPutEntry = 2, kRemoveEntry = 3;
  struct Request {
    std::uint64_t inode;
    std::uint64_t parent;
    std::uint32_t operation;
    std::uint32_t type;
    std::uint32_t links, links_before;
  };
  using Reply = Empty;
};

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
    ServerStatus, ServerSpace, Scan, Repair>;
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
