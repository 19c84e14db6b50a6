/** How a bare host is reached. */
export interface HostTarget {
  readonly address: string;
  readonly port: number;
  readonly user: string;
  /** OpenSSH or PEM private key without a passphrase. */
  readonly privateKey: string;
  /** `SHA256:…` as `ssh-keygen -l` prints it; while absent the host is refused with the fingerprint that it showed. */
  readonly hostKeyFingerprint?: string;
}
