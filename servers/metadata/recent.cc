// Recent records: a hash table of records in blocks of memory that go together, and the groups that
// can be listed, which are sorted when somebody asks.
#include "metadata/recent.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "metadata/records.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kBucketsFirst = 1u << 12;
constexpr std::size_t kBlockBytes = 256u << 10;
constexpr std::size_t kInodeKeyBytes = 8;  // of the inode itself, which nobody lists

std::uint64_t group_of(Family family, std::string_view key) {
  if (family == Family::system || key.size() < 8) return 0;
  return records::get_big_endian(key.data());
}

}  // namespace

Recent::Recent() : buckets_(kBucketsFirst) {}

std::uint64_t Recent::hash_of(Family family, std::string_view key) {
  return hash64(std::as_bytes(std::span(key)), static_cast<std::uint64_t>(family));
}

Recent::Record* Recent::find(Family family, std::string_view key, std::uint64_t hash) const {
  for (Record* at = buckets_[hash & (buckets_.size() - 1)]; at != nullptr; at = at->next) {
    if (at->hash == hash && at->family == family && at->key() == key) return at;
  }
  return nullptr;
}

Recent::Record& Recent::at(Family family, std::string_view key, std::uint64_t hash) {
  if (Record* found = find(family, key, hash)) return *found;
  if (records_.size() >= buckets_.size()) grow();
  BFS_ASSERT(key.size() <= UINT16_MAX);
  auto* record = new (take(sizeof(Record) + key.size())) Record{
      nullptr, hash, nullptr, 0, static_cast<std::uint16_t>(key.size()), family, State::unknown};
  std::memcpy(reinterpret_cast<char*>(record + 1), key.data(), key.size());
  Record*& bucket = buckets_[hash & (buckets_.size() - 1)];
  record->next = bucket;
  bucket = record;
  records_.push_back(record);
  if (family != Family::inode || key.size() > kInodeKeyBytes) {
    groups_[static_cast<std::size_t>(family)][group_of(family, key)].added.push_back(record);
  }
  return *record;
}

void Recent::set(Record& record, State state, std::string_view value) {
  char* const copy = take(value.size());
  if (!value.empty()) std::memcpy(copy, value.data(), value.size());
  record.value_at = copy;
  record.value_bytes = static_cast<std::uint32_t>(value.size());
  record.state = state;
}

std::span<Recent::Record* const> Recent::from(Family family, std::string_view first) {
  Groups& groups = groups_[static_cast<std::size_t>(family)];
  const auto found = groups.find(group_of(family, first));
  if (found == groups.end()) return {};
  Group& group = found->second;
  const auto before = [](const Record* a, const Record* b) { return a->key() < b->key(); };
  if (!group.added.empty()) {
    std::sort(group.added.begin(), group.added.end(), before);
    const auto middle = static_cast<std::ptrdiff_t>(group.sorted.size());
    group.sorted.insert(group.sorted.end(), group.added.begin(), group.added.end());
    std::inplace_merge(group.sorted.begin(), group.sorted.begin() + middle, group.sorted.end(),
                       before);
    group.added = {};
  }
  const auto start =
      std::lower_bound(group.sorted.begin(), group.sorted.end(), first,
                       [](const Record* a, std::string_view b) { return a->key() < b; });
  return {start, group.sorted.end()};
}

char* Recent::take(std::size_t bytes) {
  bytes = (bytes + alignof(Record) - 1) / alignof(Record) * alignof(Record);
  if (bytes > left_) {
    left_ = std::max(bytes, kBlockBytes);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    free_ = blocks_.back().get();
  }
  left_ -= bytes;
  return std::exchange(free_, free_ + bytes);
}

void Recent::grow() {
  std::vector<Record*> buckets(buckets_.size() * 2);
  for (Record* record : records_) {
    Record*& bucket = buckets[record->hash & (buckets.size() - 1)];
    record->next = bucket;
    bucket = record;
  }
  buckets_.swap(buckets);
}

}  // namespace benchfs
