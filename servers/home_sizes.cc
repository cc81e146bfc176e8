// Sizes for the data path: what set_size and get_attributes do, without a message of their own.
#include "home_sizes.hpp"

namespace benchfs {

Task<Status> NamespaceSizes::merge(InodeId inode, std::uint64_t end) {
  const wire::SetSize::Request request{inode, end, wire::SetSize::kMerge, 0};
  auto merging = names_.set_size(request);
  const auto merged = co_await merging;
  if (!merged) co_return std::unexpected(merged.error());
  co_return Status{};
}

Task<Result<std::uint64_t>> NamespaceSizes::size(InodeId inode) {
  auto asking = names_.attributes(inode);
  const auto found = co_await asking;
  if (!found) co_return std::unexpected(found.error());
  co_return found->attributes.size;
}

}  // namespace benchfs
