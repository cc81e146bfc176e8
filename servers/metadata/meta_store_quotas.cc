// The metadata store: limits of quotas, and how many inodes count for each. A count changes in the
// batch that makes or removes the inode, so that it is true after any crash.
#include "metadata/database.hpp"

namespace benchfs {

void MetaStore::put_quota(const QuotaLimits& limits) {
  touch();
  database_->put(
      database_->system, records::Key::quota(limits.id).view(),
      records::QuotaRecord{records::kFormat, 0, limits.bytes, limits.files, limits.made_ns});
}

Result<std::vector<QuotaLimits>> MetaStore::quotas() const {
  std::vector<QuotaLimits> all;
  const auto take = [&](std::uint64_t id, const records::QuotaRecord& record) {
    all.push_back({.id = static_cast<QuotaId>(id),
                   .bytes = record.bytes_limit,
                   .files = record.files_limit,
                   .made_ns = record.made_ns});
  };
  BFS_CHECK(read, read_numbered<records::QuotaRecord>(*database_, records::kQuotaPrefix, take));
  return all;
}

Status MetaStore::check_counter(QuotaId quota) const {
  if (quota == 0 || next_ >> kQuotaCounterBits == 0) return {};
  log_error("the metadata in {} has no inode numbers left for files with a quota",
            options_.directory);
  return fail(Errc::no_space);
}

std::uint64_t MetaStore::quota_files(QuotaId quota) const {
  const auto written = quota_files_.find(quota);
  const auto change = quota_files_change_.find(quota);
  const std::int64_t files =
      (written != quota_files_.end() ? static_cast<std::int64_t>(written->second) : 0) +
      (change != quota_files_change_.end() ? change->second : 0);
  return files > 0 ? static_cast<std::uint64_t>(files) : 0;
}

void MetaStore::count_quota_file(InodeId inode, std::int64_t change) {
  quota_files_change_[quota_of(inode)] += change;
  ++quota_changes_;
}

void MetaStore::set_quota_files(QuotaId quota, std::uint64_t files) {
  touch();
  quota_files_change_[quota] +=
      static_cast<std::int64_t>(files) - static_cast<std::int64_t>(quota_files(quota));
}

Status MetaStore::load_quota_files() {
  const auto take = [&](std::uint64_t id, std::uint64_t files) {
    quota_files_[static_cast<QuotaId>(id)] = files;
  };
  return read_numbered<std::uint64_t>(*database_, records::kQuotaFilesPrefix, take);
}

}  // namespace benchfs
