// Small files are in the pack, as long as they are small: the first 4 KiB of a file's first local
// file, which then does not exist. Whoever needs the file itself (a longer write, storage set
// aside, a client that writes on its own) has it made of the block, and from then on it is like any
// other.
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/log.hpp"
#include "storage/chunk_store.hpp"
#include "storage/plain_io.hpp"

namespace benchfs {

/// On storage that is memory. A pack that was copied to a device is emptied into local files, which
/// can be synced each for itself.
Status ChunkStore::open_pack() {
  const std::string folder = options_.data_dir + "/chunks";
  if (!volatile_ && !Pack::exists(folder)) return {};
  BFS_TRY(pack, Pack::open(folder));
  pack_ = std::move(pack);
  std::vector<InodeId> to_files;
  pack_->for_each([&](InodeId inode) {
    count_stored(inode, Pack::kBlockBytes);
    struct stat facts {};
    const std::string path = options_.data_dir + "/" + path_of(inode);
    // The process died while it made the file: nobody has written to it but from the block.
    if (!volatile_ || lstat(path.c_str(), &facts) == 0) to_files.push_back(inode);
  });
  for (const InodeId inode : to_files) {
    BFS_CHECK(made, make_file_of_packed(inode));
  }
  if (volatile_) return {};
  pack_.reset();
  Pack::remove_files(folder);
  log_info("{} small files of the pack in {} have files of their own now", to_files.size(), folder);
  return {};
}

Status ChunkStore::make_file_of_packed(InodeId inode) {
  std::array<std::byte, Pack::kBlockBytes> data{};
  BFS_TRY(bytes, pack_->read(inode, 0, data));
  const auto made = [&]() -> Status {
    auto pinned = pin_file(inode, Missing::create);
    if (!pinned) return std::unexpected(pinned.error());
    const Status written = write_plain((*pinned)->fd, 0, std::span(data).first(bytes));
    ++(*pinned)->changes;
    return written;
  }();
  if (!made) {
    // What is left of it would be taken for the file.
    const std::string path = options_.data_dir + "/" + path_of(inode);
    if (::unlink(path.c_str()) == 0) made_files_.remove(inode);
    cache_.remove(inode);
    return made;
  }
  pack_->remove(inode);
  count_stored(inode, -std::int64_t{Pack::kBlockBytes});
  return {};
}

/// Nothing: it is not for the pack.
std::optional<Status> ChunkStore::write_packed(ChunkFile id, std::uint64_t offset,
                                               std::span<const std::byte> from) {
  if (pack_ == nullptr || id.stripe != 0 || from.empty()) return std::nullopt;
  if (offset >= Pack::kBlockBytes || from.size() > Pack::kBlockBytes - offset) return std::nullopt;
  if (pack_->has(id.inode)) return pack_->write(id.inode, offset, from);
  if (made_files_.may_exist(id)) return std::nullopt;
  // Clients that know it for a hole look again.
  if (made_ != nullptr) made_->fetch_add(1, std::memory_order_release);
  // Without room in the pack it gets a file, or that one's error.
  if (!pack_->write(id.inode, offset, from)) return std::nullopt;
  count_stored(id.inode, Pack::kBlockBytes);
  return Status{};
}

void ChunkStore::truncate_packed(InodeId inode, std::uint64_t size) {
  if (size >= Pack::kBlockBytes) return;
  if (size == 0) {
    remove_packed(inode);
  } else {
    pack_->truncate(inode, size);
  }
}

bool ChunkStore::remove_packed(ChunkFile id) {
  if (pack_ == nullptr || id.stripe != 0 || !pack_->remove(id.inode)) return false;
  count_stored(id.inode, -std::int64_t{Pack::kBlockBytes});
  give_back_surplus();
  return true;
}

void ChunkStore::give_back_surplus() {
  std::vector<std::uint32_t> blocks = pack_->take_surplus();
  if (!blocks.empty() && !background_.closed()) punch_later(std::move(blocks)).detach();
}

Task<void> ChunkStore::punch_later(std::vector<std::uint32_t> blocks) {
  const Gate::Pass pass = background_.enter();
  int err = 0;
  auto call = offload_.run([this, &blocks, &err] { err = pack_->punch(blocks); });
  co_await call;
  if (err != 0)
    log_warn("free blocks of {}/chunks/pack keep their storage: {}", options_.data_dir,
             std::strerror(err));
  pack_->given_back(blocks);
}

}  // namespace benchfs
