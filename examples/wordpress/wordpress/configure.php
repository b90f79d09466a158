<?php
// Writes wp-config.php to stdout, from the environment.

function value(string $name, ?string $default = null): string {
    $value = getenv($name);
    if ($value === false || $value === '') {
        if ($default === null) {
            fwrite(STDERR, "entrypoint: $name must be set\n");
            exit(1);
        }
        return $default;
    }
    return $value;
}

function quoted(string $value): string {
    return "'" . strtr($value, ['\\' => '\\\\', "'" => "\\'"]) . "'";
}

function define_line(string $name, string $code): string {
    return "define( '$name', $code );\n";
}

$host = value('MARIADB_HOST') . ':' . value('MARIADB_PORT_NUMBER', '3306');

echo "<?php\n";
echo define_line('DB_NAME', quoted(value('WORDPRESS_DATABASE_NAME')));
echo define_line('DB_USER', quoted(value('WORDPRESS_DATABASE_USER')));
echo define_line('DB_PASSWORD', quoted(value('WORDPRESS_DATABASE_PASSWORD')));
echo define_line('DB_HOST', quoted($host));
echo define_line('DB_CHARSET', "'utf8mb4'");
echo define_line('DB_COLLATE', "''");
echo "\n";
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $name) {
    echo define_line("{$name}_KEY", quoted(bin2hex(random_bytes(32))));
    echo define_line("{$name}_SALT", quoted(bin2hex(random_bytes(32))));
}
echo <<<'PHP'

$table_prefix = 'wp_';

// The site is wherever the browser found it: another port or name is no reason to send it elsewhere.
if ( ( $_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '' ) === 'https' ) {
    $_SERVER['HTTPS'] = 'on';
}
if ( empty( $_SERVER['HTTP_HOST'] ) ) {
    $_SERVER['HTTP_HOST'] = 'localhost';
}
$scheme = ( $_SERVER['HTTPS'] ?? 'off' ) !== 'off' ? 'https://' : 'http://';
define( 'WP_HOME', $scheme . $_SERVER['HTTP_HOST'] . '/' );
define( 'WP_SITEURL', $scheme . $_SERVER['HTTP_HOST'] . '/' );

// Nothing is called outside the cluster, and no request does another one's work.
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'WP_AUTO_UPDATE_CORE', false );
define( 'DISABLE_WP_CRON', true );
define( 'FS_METHOD', 'direct' );
define( 'WP_DEBUG', filter_var( getenv( 'WP_DEBUG' ), FILTER_VALIDATE_BOOLEAN ) );
define( 'WP_DEBUG_DISPLAY', false ); // to the log

if ( ! defined( 'ABSPATH' ) ) {
    define( 'ABSPATH', '/opt/wordpress/' );
}

require_once ABSPATH . 'wp-settings.php';

PHP;
