// A file's data in an arena, by ranges of several segments: what the server does for those who send
// messages. Clients on its host read and write on their own.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "storage/arena.hpp"

namespace benchfs {

using namespace arena;

namespace {

std::int64_t blocks_in(const SegmentMap& map) {
  return std::count_if(std::begin(map.blocks), std::end(map.blocks), [](const auto& place) {
    return place.load(std::memory_order_relaxed) != 0;
  });
}

/// Calls `visit(segment, within, done, bytes)` for the part of a range in each segment, until it
/// returns false; `done` counts from the begin of the range.
template <class Visit>
void each_segment(std::uint64_t offset, std::uint64_t bytes, Visit visit) {
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint32_t within = within_segment(offset + done);
    const std::uint64_t part = std::min<std::uint64_t>(kSegmentBytes - within, bytes - done);
    if (!visit(segment_of(offset + done), within, done, part)) return;
    done += part;
  }
}

}  // namespace

std::size_t Arena::read(InodeId inode, std::uint64_t offset, std::span<std::byte> into) {
  std::size_t end = 0;
  each_segment(offset, into.size(), [&](auto segment, auto within, auto done, auto bytes) {
    const auto part = into.subspan(done, bytes);
    const SegmentMap* map = view_->find(inode, segment);
    const std::size_t there = map != nullptr ? view_->read(*map, within, part) : 0;
    if (there > 0) end = done + there;
    std::memset(part.data() + there, 0, part.size() - there);
    return true;
  });
  return end;
}

Status Arena::write(InodeId inode, std::uint64_t offset, std::span<const std::byte> from) {
  Status status;
  each_segment(offset, from.size(), [&](auto segment, auto within, auto done, auto bytes) {
    auto made = make(inode, segment);
    if (!made) {
      status = std::unexpected(made.error());
      return false;
    }
    SegmentMap& map = **made;
    const bool counts = quota_of(inode) != 0;
    const std::int64_t before = counts ? blocks_in(map) : 0;
    for (std::size_t written = 0; status && written < bytes;) {
      const auto rest = from.subspan(done + written, bytes - written);
      written += view_->write(map, static_cast<std::uint32_t>(within + written), rest);
      if (written < bytes) status = grow();
    }
    if (counts) count_for(inode, blocks_in(map) - before);
    return status.has_value();
  });
  return status;
}

/// There is no free block: those that were just removed, or new ones.
Status Arena::grow() {
  const std::uint64_t before = free_bytes();
  reclaim();
  if (free_bytes() > before) return {};
  const auto extent = next_extent();
  if (!extent) return fail(Errc::no_space, ENOSPC);
  const int err = allocate_extent(*extent);
  added(*extent, err == 0);
  if (err != 0) return fail(errc_from_errno(err), err);
  return {};
}

/// Zeros in [from, to) of the segment; blocks that are in it as a whole are taken out.
void Arena::cut(SegmentMap& map, std::size_t from, std::size_t to, Blocks& into) {
  for (std::size_t at = from; at < to;) {
    const std::size_t place = at >> kBlockShift;
    const std::size_t inside = at % kBlockBytes;
    const std::size_t bytes = std::min(kBlockBytes - inside, to - at);
    at += bytes;
    if (bytes == kBlockBytes) {
      const Block block = map.blocks[place].exchange(0);
      if (block != 0) add(into, block);
    } else if (const Block block = map.blocks[place].load(); block != 0) {
      std::memset(view_->block(block) + inside, 0, bytes);
    }
  }
}

void Arena::truncate(InodeId inode, std::uint64_t size) {
  const auto found = files_.find(inode);
  if (found == files_.end()) return;
  Segments& segments = found->second;
  Retired retired;
  std::int64_t gone = 0;
  const bool counts = quota_of(inode) != 0;
  while (!segments.empty() && segments.back().number << kSegmentShift >= size) {
    SegmentMap& map = view_->map_at(segments.back().map);
    if (counts) gone += blocks_in(map);
    unlink(map);
    retired.maps.push_back(segments.back().map);
    segments.pop_back();
  }
  if (segments.empty()) {
    files_.erase(found);
  } else if (segments.back().number == segment_of(size)) {
    SegmentMap& map = view_->map_at(segments.back().map);
    const std::uint32_t within = within_segment(size);
    if (map.end.load() > within) map.end.store(within);
    const std::int64_t before = counts ? blocks_in(map) : 0;
    cut(map, within, kSegmentBytes, retired.blocks);
    if (counts) gone += before - blocks_in(map);
  }
  count_for(inode, -gone);
  retire(std::move(retired));
}

void Arena::punch(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  const auto found = files_.find(inode);
  if (found == files_.end()) return;
  const std::uint64_t end = offset + bytes;
  Retired retired;
  for (const Segment& segment : found->second) {
    const std::uint64_t begin = segment.number << kSegmentShift;
    if (begin + kSegmentBytes <= offset) continue;
    if (begin >= end) break;
    SegmentMap& map = view_->map_at(segment.map);
    const std::int64_t before = blocks_in(map);
    cut(map, std::max(offset, begin) - begin, std::min<std::uint64_t>(end - begin, kSegmentBytes),
        retired.blocks);
    count_for(inode, blocks_in(map) - before);
  }
  retire(std::move(retired));
}

Status Arena::allocate(InodeId inode, std::uint64_t offset, std::uint64_t bytes) {
  Status status;
  each_segment(offset, bytes, [&](auto segment, auto within, auto, auto part) {
    auto made = make(inode, segment);
    if (!made) {
      status = std::unexpected(made.error());
      return false;
    }
    SegmentMap& map = **made;
    const std::int64_t before = blocks_in(map);
    const auto first = static_cast<unsigned>(within >> kBlockShift);
    const auto last = static_cast<unsigned>((within + part - 1) >> kBlockShift);
    while (status && !view_->reserve(map, first, last - first + 1)) status = grow();
    count_for(inode, blocks_in(map) - before);
    return status.has_value();
  });
  return status;
}

// ---- what is there ----

std::uint64_t Arena::allocated_bytes(InodeId inode) const {
  const auto found = files_.find(inode);
  if (found == files_.end()) return 0;
  std::int64_t blocks = 0;
  for (const Segment& segment : found->second) blocks += blocks_in(view_->map_at(segment.map));
  return static_cast<std::uint64_t>(blocks) << kBlockShift;
}

std::uint64_t Arena::unallocated(InodeId inode, std::uint64_t begin, std::uint64_t end) {
  std::uint64_t missing = 0;
  each_segment(begin, end - begin, [&](auto segment, auto within, auto, auto bytes) {
    const SegmentMap* map = view_->find(inode, segment);
    const std::size_t last = (within + bytes - 1) >> kBlockShift;
    for (std::size_t place = within >> kBlockShift; place <= last; ++place) {
      if (map == nullptr || map->blocks[place].load(std::memory_order_relaxed) == 0) ++missing;
    }
    return true;
  });
  return missing << kBlockShift;
}

std::optional<std::uint64_t> Arena::next_data(InodeId inode, std::uint64_t offset,
                                              std::uint64_t limit) const {
  const auto found = files_.find(inode);
  if (found == files_.end()) return std::nullopt;
  for (const Segment& segment : found->second) {
    const std::uint64_t begin = segment.number << kSegmentShift;
    if (begin + kSegmentBytes <= offset) continue;
    if (begin >= limit) break;
    const SegmentMap& map = view_->map_at(segment.map);
    const std::uint64_t end = begin + map.end.load();
    for (std::uint64_t at = std::max(offset, begin); at < std::min(end, limit);
         at = (at / kBlockBytes + 1) * kBlockBytes) {
      if (map.blocks[(at - begin) >> kBlockShift].load() != 0) return at;
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> Arena::next_hole(InodeId inode, std::uint64_t offset,
                                              std::uint64_t end) {
  while (offset < end) {
    const SegmentMap* map = view_->find(inode, segment_of(offset));
    const std::uint32_t within = within_segment(offset);
    if (map == nullptr || within >= map->end.load() || map->blocks[within >> kBlockShift] == 0) {
      return offset;
    }
    const std::uint64_t begin = offset - within;
    offset = std::min((offset / kBlockBytes + 1) * kBlockBytes, begin + map->end.load());
  }
  return std::nullopt;
}

std::vector<InodeId> Arena::list(InodeId after, std::size_t most) const {
  std::vector<InodeId> found;
  for (auto file = files_.upper_bound(after); file != files_.end() && found.size() < most; ++file) {
    found.push_back(file->first);
  }
  return found;
}

}  // namespace benchfs
