// Shared file pointers: a bounded map of numbers.
#include "locks/shared_pointers.hpp"

namespace benchfs {
namespace {

bool valid(std::int64_t value) {
  return value >= 0 && static_cast<std::uint64_t>(value) <= kFileBytesMax;
}

}  // namespace

SharedPointers::Pointer& SharedPointers::find(const Key& key) {
  const auto found = pointers_.find(key);
  if (found != pointers_.end()) {
    used_.splice(used_.end(), used_, found->second.used);
    return found->second;
  }
  if (pointers_.size() >= limit_) {
    pointers_.erase(used_.front());
    used_.pop_front();
  }
  Pointer& made = pointers_[key];
  made.used = used_.insert(used_.end(), key);
  return made;
}

Result<std::int64_t> SharedPointers::add(InodeId inode, std::uint64_t key, std::int64_t delta) {
  Pointer& pointer = find({inode, key});
  std::int64_t sum = 0;
  if (__builtin_add_overflow(pointer.value, delta, &sum) || !valid(sum)) return fail(Errc::range);
  return std::exchange(pointer.value, sum);
}

Result<std::int64_t> SharedPointers::set(InodeId inode, std::uint64_t key, std::int64_t value) {
  if (!valid(value)) return fail(Errc::range);
  return std::exchange(find({inode, key}).value, value);
}

std::int64_t SharedPointers::forget(InodeId inode, std::uint64_t key) {
  const auto found = pointers_.find({inode, key});
  if (found == pointers_.end()) return 0;
  const std::int64_t before = found->second.value;
  used_.erase(found->second.used);
  pointers_.erase(found);
  return before;
}

void SharedPointers::forget_file(InodeId inode) {
  for (auto at = pointers_.lower_bound({inode, 0});
       at != pointers_.end() && at->first.first == inode;) {
    used_.erase(at->second.used);
    at = pointers_.erase(at);
  }
}

}  // namespace benchfs
