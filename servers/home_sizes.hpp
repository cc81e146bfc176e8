// The data path's view of the namespace: sizes of the files whose home is this server.
#pragma once
#include "metadata/namespace.hpp"
#include "storage/data_service.hpp"

namespace benchfs {

class NamespaceSizes : public HomeSizes {
 public:
  explicit NamespaceSizes(Namespace& names) : names_(names) {}
  Task<Status> merge(InodeId inode, std::uint64_t end) override;
  Task<Result<std::uint64_t>> size(InodeId inode) override;

 private:
  Namespace& names_;
};

}  // namespace benchfs
