// The pack: one file of 4 KiB blocks, each of which is the data of a small file, and an index of
// whose block each is. For storage that is memory, where to make, open and unlink a local file
// takes ten times as long as to write a block. docs/adr/0021-pack.md.
//
//   <folder>/pack        block n at offset n * 4096
//   <folder>/pack.index  64 bytes of header, then a record for each block: inode (0: nobody's),
//   bytes
//
// The index is written through a mapping: it is there when the process dies. It is not synced.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.hpp"
#include "base/types.hpp"

namespace benchfs {

/// Single-threaded but for punch().
class Pack {
 public:
  static constexpr std::size_t kBlockBytes = 4096;
  /// Of one server; further small files get local files.
  static constexpr std::uint32_t kBlocksMax = 1u << 24;

  /// Opens the two files, made if missing, and reads the index. Errors are logged.
  static Result<std::unique_ptr<Pack>> open(const std::string& folder);
  static bool exists(const std::string& folder);
  ~Pack();
  Pack(const Pack&) = delete;
  Pack& operator=(const Pack&) = delete;
  /// Removes the two files. Only an empty pack.
  static void remove_files(const std::string& folder);

  /// Bytes of the file that are in its block; nothing: it has none.
  std::optional<std::size_t> bytes(InodeId inode) const;
  bool has(InodeId inode) const { return bytes(inode).has_value(); }
  std::size_t files() const { return files_; }
  /// Bytes from `offset` on, as many as are there. It has a block.
  Result<std::size_t> read(InodeId inode, std::size_t offset, std::span<std::byte> into) const;
  /// Within a block. A file that has none gets one; what is before `offset` and was not written
  /// reads as zeros. Error: nothing is changed but, of a file that had one, what is overwritten.
  Status write(InodeId inode, std::size_t offset, std::span<const std::byte> from);
  /// What is at and beyond `bytes` goes; with all of it the block. It has one.
  void truncate(InodeId inode, std::size_t bytes);
  /// False: it had none.
  bool remove(InodeId inode);
  void for_each(const std::function<void(InodeId)>& visit) const;

  /// Blocks that are nobody's and take storage, once there are many; sorted. They are not used
  /// until given_back().
  std::vector<std::uint32_t> take_surplus();
  /// Their storage goes. Of any thread. 0 or an errno.
  int punch(const std::vector<std::uint32_t>& blocks) const;
  void given_back(const std::vector<std::uint32_t>& blocks);

 private:
  /// In the index file.
  struct Record {
    std::uint64_t inode;
    std::uint32_t bytes;
    std::uint32_t zero;
  };
  static_assert(sizeof(Record) == 16);

  explicit Pack(std::string folder) : folder_(std::move(folder)) {}
  Status start();
  Status failed(const char* what, const std::string& path, int error) const;
  Status grow(std::uint32_t blocks);
  Status take(std::uint32_t* block);
  Status fill(std::uint32_t block, std::size_t offset, std::span<const std::byte> from) const;
  Record& record(std::uint32_t block) const;
  // The table: numbers of blocks, found by their inodes.
  std::size_t home_of(InodeId inode) const;
  std::optional<std::size_t> place_of(InodeId inode) const;
  void enter(std::uint32_t block);
  void leave(std::size_t place);

  std::string folder_;
  int fd_ = -1, index_fd_ = -1;
  std::byte* index_ = nullptr;               ///< mapped; as much of it as the file has can be used
  std::uint32_t records_ = 0;                ///< that the index file has room for
  std::uint32_t end_ = 0;                    ///< no block from here on has ever been used
  std::vector<std::uint32_t> free_, blank_;  ///< nobody's: with storage, and without
  std::size_t files_ = 0;
  std::vector<std::uint32_t> table_;  ///< a power of two; block + 1, or 0
  unsigned shift_ = 0;                ///< of a hash, to a place in the table
};

}  // namespace benchfs
