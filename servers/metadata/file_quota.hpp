// What the namespace asks before it makes an inode that counts for a quota.
#pragma once
#include "base/status.hpp"
#include "base/types.hpp"
#include "loop/task.hpp"

namespace benchfs {

class FileQuota {
 public:
  virtual ~FileQuota() = default;
  /// One more inode may be made, if it is made in this turn of the loop.
  virtual bool file_left(QuotaId quota) const = 0;
  /// Waits until there is one; then others may have been faster. Error: quota;
  /// quota_unknown: who keeps the quotas does not answer.
  virtual Task<Status> more_files(QuotaId quota) = 0;
};

}  // namespace benchfs
