// Opening an arena, and what is read from it when the process before has died: the maps alone say
// whose a block is; which ones are free is worked out anew.
#include "storage/arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"

namespace benchfs {

using namespace arena;

namespace {

/// Of the index file, at a time.
constexpr std::uint64_t kMapsAhead = 1024;
/// Files of one block fill as many maps as there are blocks; more files than that do not fit.
constexpr std::uint64_t kBucketsPerGroup = 8;

std::string data_path(const std::string& folder) {
  return folder + "/arena";
}
std::string index_path(const std::string& folder) {
  return folder + "/arena.index";
}

}  // namespace

int Arena::allocate(int fd, std::uint64_t offset, std::uint64_t bytes) {
  while (::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

Result<std::unique_ptr<Arena>> Arena::open(const std::string& folder, std::uint64_t bytes_max) {
  auto made = std::unique_ptr<Arena>(new Arena(folder));
  BFS_CHECK(started, made->start(bytes_max));
  return made;
}

bool Arena::exists(const std::string& folder) {
  struct stat facts {};
  return ::lstat(index_path(folder).c_str(), &facts) == 0;
}

void Arena::remove_files(const std::string& folder) {
  ::unlink(index_path(folder).c_str());
  ::unlink(data_path(folder).c_str());
}

Arena::~Arena() {
  if (data_fd_ >= 0) ::close(data_fd_);
}

Status Arena::failed(const char* what, const char* file, int err) const {
  log_error("cannot {} {}/{}: {}", what, folder_, file, std::strerror(err));
  return fail(errc_from_errno(err), err);
}

Status Arena::start(std::uint64_t bytes_max) {
  if (exists(folder_)) return open_files();
  BFS_CHECK(made, make_files(bytes_max));
  const Status opened = open_files();
  if (!opened) remove_files(folder_);  // it is empty, and of no use here
  return opened;
}

Status Arena::open_files() {
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
  data_fd_ = ::open(data_path(folder_).c_str(), kFlags);
  if (data_fd_ < 0) return failed("open", "arena", errno);
  const int index_fd = ::open(index_path(folder_).c_str(), kFlags);
  if (index_fd < 0) return failed("open", "arena.index", errno);
  auto view = View::map(data_fd_, index_fd, kServerSlot);
  if (!view) {
    ::close(index_fd);
    if (view.error().code != Errc::stale) return failed("map", "arena", view.error().native);
    log_error("{}/arena.index is damaged, or of another version of BenchFS", folder_);
    return std::unexpected(view.error());
  }
  view_ = std::move(*view);
  return recover();
}

/// Under another name first: what has its name is whole.
Status Arena::make_files(std::uint64_t bytes_max) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
  const std::uint64_t groups =
      std::clamp<std::uint64_t>((bytes_max >> kSegmentShift) / 2 * 2 + kFirstGroup, 16, kGroupsMax);
  const std::uint64_t buckets = std::bit_ceil(groups * kBucketsPerGroup);
  const std::uint64_t maps = std::min<std::uint64_t>(groups * kSegmentBlocks, 0xffffffffu);
  const Layout layout = layout_of(groups, buckets, maps);
  const std::string path = data_path(folder_);
  const int data = ::open(path.c_str(), kFlags, 0600);
  if (data < 0) return failed("make", "arena", errno);
  const bool sized = ::ftruncate(data, static_cast<off_t>(groups << kSegmentShift)) == 0;
  int err = sized ? 0 : errno;
  ::close(data);
  if (err != 0) return failed("make", "arena", err);

  const std::string name = index_path(folder_);
  const std::string draft = name + ".new";
  const int index = ::open(draft.c_str(), kFlags, 0600);
  if (index < 0) return failed("make", "arena.index", errno);
  if (::ftruncate(index, static_cast<off_t>(layout.bytes)) != 0) err = errno;
  // Whoever touches a page without storage when there is no more would be ended by a signal.
  if (err == 0) err = allocate(index, 0, layout.maps_at);
  if (err == 0) {
    void* memory = ::mmap(nullptr, sizeof(Header), PROT_READ | PROT_WRITE, MAP_SHARED, index, 0);
    if (memory == MAP_FAILED) {
      err = errno;
    } else {
      auto* header = static_cast<Header*>(memory);
      header->magic = Header::kMagic;
      header->version = Header::kVersion;
      header->groups = groups;
      header->buckets = buckets;
      header->maps = maps;
      header->groups_end = kFirstGroup;
      header->maps_end = 1;
      header->epoch.store(1);
      ::munmap(memory, sizeof(Header));
    }
  }
  ::close(index);
  if (err == 0 && ::rename(draft.c_str(), name.c_str()) != 0) err = errno;
  if (err == 0) return {};
  ::unlink(draft.c_str());
  return failed("make", "arena.index", err);
}

// ---- what was there before ----

Status Arena::recover() {
  Header& header = view_->header();
  // From here on processes of an earlier server keep off, but for those in the middle of an access.
  header.incarnation.fetch_add(1);
  view_->set_incarnation();
  for (GroupList* list : {&header.whole, &header.partial}) {
    list->head.store(changed_head(list->head.load(), 0));
  }
  header.free_blocks.store(0);
  recover_slots();
  std::vector<BlockSet> used(header.groups_end);
  recover_maps(used);
  return recover_groups(used);
}

void Arena::recover_slots() {
  Header& header = view_->header();
  for (std::uint32_t i = 0; i < kProcessesMax; ++i) {
    Process& slot = header.processes[i];
    if (i != kServerSlot && slot.active.load() != 0 && slot_in_use(index_fd(), i)) {
      log_warn(
          "{}/arena: another process has been in the middle of an access since the server before",
          folder_);
      strangers_.push_back(i);
      slots_end_ = i + 1;
      continue;
    }
    slot.active.store(0);
    slot.free.store(0);
    slot.count.store(0);
  }
  for (std::uint32_t i = 1; i < slots_end_; ++i) {
    if (std::find(strangers_.begin(), strangers_.end(), i) == strangers_.end()) {
      free_slots_.push_back(i);
    }
  }
}

void Arena::recover_maps(std::vector<BlockSet>& used) {
  Header& header = view_->header();
  std::atomic<std::uint32_t>* buckets = &view_->bucket(0);
  for (std::uint64_t i = 0; i < header.buckets; ++i) buckets[i].store(0, std::memory_order_relaxed);
  maps_allocated_ = header.maps_end;
  for (auto index = static_cast<std::uint32_t>(header.maps_end - 1); index > 0; --index) {
    SegmentMap& map = view_->map_at(index);
    const InodeId inode = map.inode.load(std::memory_order_relaxed);
    std::int64_t blocks = 0;
    for (auto& place : map.blocks) {
      const Block block = place.load(std::memory_order_relaxed);
      if (block == 0) continue;
      const GroupIndex group = block / kSegmentBlocks;
      const BlockSet bit = BlockSet{1} << block % kSegmentBlocks;
      const bool sound = group >= kFirstGroup && group < used.size() && (used[group] & bit) == 0;
      if (inode == 0 || !sound) {
        if (inode != 0) log_error("{}/arena: a block of inode {:x} is damaged", folder_, inode);
        place.store(0, std::memory_order_relaxed);
        continue;
      }
      used[group] |= bit;
      ++blocks;
    }
    if (inode == 0) {
      map.end.store(0, std::memory_order_relaxed);
      free_maps_.push_back(index);
      continue;
    }
    link(map);
    enter(inode, map.segment.load(std::memory_order_relaxed), index);
    count_for(inode, blocks);
  }
}

/// An extent of which a file has a part is made whole; another is free if it is, and else blank.
Status Arena::recover_groups(const std::vector<BlockSet>& used) {
  Header& header = view_->header();
  std::vector<BlockSet> kept(header.groups_end);
  for (const std::uint32_t slot : strangers_) {
    const GroupIndex group = header.processes[slot].group.load();
    if (group < kept.size()) kept[group] |= header.processes[slot].free.load();
  }
  Retired unsafe;
  for (GroupIndex first = kFirstGroup; first < header.groups_end; first += 2) {
    bool in_use = false;
    for (GroupIndex i = first; i < first + 2; ++i) {
      Group& group = view_->group(i);
      group.free.store(0);
      group.listed.store(0);
      in_use = in_use || (used[i] | kept[i]) != 0;
    }
    if (in_use) {
      const int err = allocate(data_fd_, std::uint64_t{first} << kSegmentShift, kHugeBytes);
      if (err != 0) return failed("allocate", "arena", err);
    } else if (!whole_in_memory(first)) {
      const int err = give_back({first});
      if (err != 0) return failed("give back storage of", "arena", err);
      blank_.push_back(first);
      continue;
    }
    groups_allocated_ += 2;
    for (GroupIndex i = first; i < first + 2; ++i) {
      const BlockSet rest = ~(used[i] | kept[i]);
      if (rest == 0) continue;
      if (strangers_.empty()) {
        free(i, rest);
      } else {
        unsafe.blocks.emplace_back(i, rest);
      }
    }
  }
  if (!unsafe.blocks.empty()) retire(std::move(unsafe));
  return {};
}

bool Arena::whole_in_memory(GroupIndex first) const {
  const auto begin = static_cast<off_t>(std::uint64_t{first} << kSegmentShift);
  const off_t hole = ::lseek(data_fd_, begin, SEEK_HOLE);
  return hole >= begin + static_cast<off_t>(kHugeBytes);
}

// ---- slots ----

Result<std::uint32_t> Arena::attach() {
  std::uint32_t index = 0;
  if (!free_slots_.empty()) {
    index = free_slots_.back();
    free_slots_.pop_back();
  } else if (slots_end_ < kProcessesMax) {
    index = slots_end_++;
  } else {
    return fail(Errc::busy, EAGAIN);
  }
  return index;
}

void Arena::detach(std::uint32_t index) {
  Process& slot = view_->header().processes[index];
  BlockSet left = slot.free.load(std::memory_order_acquire);
  const GroupIndex group = slot.group.load(std::memory_order_relaxed);
  const std::uint32_t count = slot.count.load(std::memory_order_acquire);
  if (count != 0 && count <= kSegmentBlocks) {
    // It has ended while it put blocks into a map: those that are in it are the file's.
    const SegmentMap& map = view_->map_at(slot.map.load(std::memory_order_relaxed));
    const Block first = slot.first.load(std::memory_order_relaxed);
    const std::uint32_t at = slot.at.load(std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < count && at + i < kSegmentBlocks; ++i) {
      if (map.blocks[at + i].load() == first + i) {
        left &= ~(BlockSet{1} << (first + i) % kSegmentBlocks);
      }
    }
  }
  slot.count.store(0);
  slot.free.store(0);
  slot.active.store(0);
  if (left != 0 && group >= kFirstGroup && group < view_->header().groups_end) free(group, left);
  free_slots_.push_back(index);
}

// ---- maps ----

void Arena::enter(InodeId inode, std::uint64_t segment, std::uint32_t index) {
  Segments& segments = files_[inode];
  const auto place = std::lower_bound(
      segments.begin(), segments.end(), segment,
      [](const Segment& each, std::uint64_t number) { return each.number < number; });
  segments.insert(place, {segment, index});
}

void Arena::link(SegmentMap& map) {
  auto& bucket = view_->bucket_of(map.inode.load(std::memory_order_relaxed),
                                  map.segment.load(std::memory_order_relaxed));
  map.next.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
  bucket.store(view_->index_of(map), std::memory_order_release);
}

/// Whoever has found it goes on; it is not used again before they have ended (retire()).
void Arena::unlink(SegmentMap& map) {
  const std::uint32_t index = view_->index_of(map);
  std::atomic<std::uint32_t>* from = &view_->bucket_of(map.inode.load(std::memory_order_relaxed),
                                                       map.segment.load(std::memory_order_relaxed));
  while (from->load(std::memory_order_relaxed) != index) {
    BFS_ASSERT(from->load(std::memory_order_relaxed) != 0);
    from = &view_->map_at(from->load(std::memory_order_relaxed)).next;
  }
  from->store(map.next.load(std::memory_order_relaxed), std::memory_order_release);
  map.inode.store(0, std::memory_order_release);
}

Result<std::uint32_t> Arena::take_map() {
  if (!free_maps_.empty()) {
    const std::uint32_t index = free_maps_.back();
    free_maps_.pop_back();
    return index;
  }
  Header& header = view_->header();
  if (header.maps_end == maps_allocated_) {
    const std::uint64_t more = std::min(kMapsAhead, header.maps - header.maps_end);
    if (more == 0) return fail(Errc::no_space, ENOSPC);
    const Layout layout = layout_of(header.groups, header.buckets, header.maps);
    const int err = allocate(index_fd(), layout.maps_at + header.maps_end * sizeof(SegmentMap),
                             more * sizeof(SegmentMap));
    if (err != 0) return fail(errc_from_errno(err), err);
    maps_allocated_ += more;
  }
  return static_cast<std::uint32_t>(header.maps_end++);
}

Result<SegmentMap*> Arena::make(InodeId inode, std::uint64_t segment) {
  SegmentMap* found = view_->find(inode, segment);
  if (found != nullptr) return found;
  BFS_TRY(index, take_map());
  SegmentMap& map = view_->map_at(index);
  map.segment.store(segment, std::memory_order_relaxed);
  map.inode.store(inode, std::memory_order_release);
  link(map);
  enter(inode, segment, index);
  return &map;
}

}  // namespace benchfs
